{{- define "penin.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "penin.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "penin.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "penin.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of objects without a namespace. Operators of one namespace each, of one release name, do not share them. */}}
{{- define "penin.clusterName" -}}
{{- if .Values.watchNamespace -}}
{{- printf "%s-%s" .Release.Namespace (include "penin.fullname" .) -}}
{{- else -}}
{{- include "penin.fullname" . -}}
{{- end -}}
{{- end -}}

{{- define "penin.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "penin.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name must be set when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "penin.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "penin.selectorLabels" -}}
app.kubernetes.io/name: {{ include "penin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "penin.labels" -}}
{{ include "penin.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: penin
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Name of a generation of the ledger: the first has the plain name, later ones carry their number. */}}
{{- define "penin.generation" -}}
{{- if gt (int .number) 1 -}}
{{- printf "%s-%d" .name (int .number) -}}
{{- else -}}
{{- .name -}}
{{- end -}}
{{- end -}}

{{- define "penin.anchor" -}}
{{- include "penin.generation" (dict "name" (include "penin.fullname" .) "number" .Values.ledger.generation) -}}
{{- end -}}

{{/* The present generation's anchor and that of the one before it, as a list. */}}
{{- define "penin.anchors" -}}
{{- $before := include "penin.generation" (dict "name" (include "penin.fullname" .) "number" (sub .Values.ledger.generation 1)) -}}
{{- list $before (include "penin.anchor" .) | uniq | toJson -}}
{{- end -}}

{{/* The Secrets with signing keys, as a JSON list: the present one, and the former one while keys are rotated. */}}
{{- define "penin.keySecrets" -}}
{{- list .Values.ledger.signingKeySecret .Values.ledger.formerSigningKeySecret | compact | uniq | toJson -}}
{{- end -}}
