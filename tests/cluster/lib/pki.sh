# shellcheck shell=bash
#
# Keys, certificates and kubeconfigs: EC P-256, one year, made anew for every cluster.
# Everything is written to the current folder; call with umask 077.

VALIDITY_DAYS=365

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# make_authority NAME COMMON_NAME
make_authority() {
    new_key "$1"
    openssl req -x509 -new -key "$1.key" -sha256 -days "$VALIDITY_DAYS" -subj "/CN=$2" -out "$1.crt" \
        -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
}

# issue NAME AUTHORITY SUBJECT serverAuth|clientAuth [SUBJECT_ALTERNATIVE_NAMES]
issue() {
    local extensions
    extensions=$(printf '%s\n' basicConstraints=CA:FALSE keyUsage=critical,digitalSignature,keyEncipherment \
        "extendedKeyUsage=$4" ${5:+"subjectAltName=$5"})
    new_key "$1"
    openssl req -new -key "$1.key" -subj "$3" |
        openssl x509 -req -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days "$VALIDITY_DAYS" -sha256 \
            -extfile <(echo "$extensions") -out "$1.crt" 2>/dev/null
}

# Service account tokens are signed with RSA: some clients know nothing else.
make_service_account_key() {
    openssl genrsa -out service-account.key 2048 2>/dev/null
    openssl rsa -in service-account.key -pubout -out service-account.pub 2>/dev/null
}

# write_kubeconfig FILE SERVER CERTIFICATE: everything inside, so that the file can be moved
write_kubeconfig() {
    cat >"$1" <<YAML
apiVersion: v1
kind: Config
current-context: $CLUSTER_NAME
clusters:
- name: $CLUSTER_NAME
  cluster: {server: "$2", certificate-authority-data: $(base64 -w0 ca.crt)}
users:
- name: $3
  user: {client-certificate-data: $(base64 -w0 "$3.crt"), client-key-data: $(base64 -w0 "$3.key")}
contexts:
- name: $CLUSTER_NAME
  context: {cluster: $CLUSTER_NAME, user: $3}
YAML
}
