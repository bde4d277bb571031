#!/bin/bash
# Proves the running cluster: pods, names, Services from three places, volumes, pod security, the
# gateway, metrics. Ends with the first thing that does not work.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"

SPACE="cluster-check"
CHECKS=0

passed() { CHECKS=$((CHECKS + 1)); say "ok: $*"; }

kubectl_here() { kubectl --namespace "$SPACE" "$@"; }

# body URL: from this machine
body() { curl --silent --show-error --fail --max-time 5 --noproxy '*' "$@"; }

clean_up() { kubectl delete namespace "$SPACE" --ignore-not-found --wait=true --timeout=60s >/dev/null; }

# run_probe NAME ARGUMENTS...: one pod that must succeed; prints what it said
run_probe() {
    local name=$1
    shift
    kubectl_here run "$name" --image="$(image_reference probe)" --restart=Never -- "$@" >/dev/null
    wait_for_condition 60 --for=jsonpath='{.status.phase}'=Succeeded --namespace "$SPACE" "pod/$name"
    kubectl_here logs "$name"
}

check_workload() {
    PROBE_IMAGE=$(image_reference probe) "$CLUSTER_DIR/render" "$CLUSTER_DIR/manifests/check.yaml" |
        kubectl apply -f - >/dev/null
    wait_for_condition 60 --for=condition=Available --namespace "$SPACE" deployment/probe
    passed "two pods under the restricted Pod Security Standard are ready"
    local refusal
    refusal=$(kubectl_here run refused --image="$(image_reference probe)" 2>&1 || true)
    grep -q 'violates PodSecurity "restricted' <<<"$refusal" || fail "a pod without a security context was let in: $refusal"
    passed "a pod that is not restricted is refused"
    kubectl label namespace "$SPACE" pod-security.kubernetes.io/enforce- >/dev/null
}

check_names_and_services() {
    local address refusal
    run_probe lookup lookup kubernetes.default.svc.cluster.local | grep -q '^\[10\.' ||
        fail "kubernetes.default.svc.cluster.local does not resolve in a pod"
    run_probe fetch get http://probe/from-a-pod | grep -q from-a-pod || fail "a pod cannot reach a Service by its short name"
    passed "names and Services in pods"
    address=$(kubectl_here get service probe -o jsonpath='{.spec.clusterIP}')
    if [ "$(running_mode)" = node ]; then
        body "http://$address/from-here" | grep -q from-here || fail "this machine does not reach Service address $address"
        passed "Service address $address from this machine"
        # A look-up; no packet is sent.
        refusal=$(in_node ip route get 203.0.113.1 2>&1 || true)
        grep -q -i unreachable <<<"$refusal" || fail "the node has a route to the outside: $refusal"
        passed "the node has no route to the outside"
        "$CLUSTER_DIR/in-node.sh" curl --silent --fail --max-time 5 "http://probe.$SPACE.svc/inside" | grep -q inside ||
            fail "in-node.sh does not reach http://probe.$SPACE.svc"
        passed "Service by name from the node's network namespace"
    fi
}

check_volume() {
    kubectl_here apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
YAML
    local mount='{"apiVersion": "v1", "spec": {"containers": [{"name": "%s", "image": "%s", "args": %s,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}}'
    local image
    image=$(image_reference probe)
    # shellcheck disable=SC2059  # the format is the pod
    kubectl_here run writer --image="$image" --restart=Never \
        --overrides="$(printf "$mount" writer "$image" '["write", "/data/file", "kept"]')" >/dev/null
    wait_for_condition 60 --for=jsonpath='{.status.phase}'=Succeeded --namespace "$SPACE" pod/writer
    kubectl_here delete pod writer --wait >/dev/null
    # shellcheck disable=SC2059
    kubectl_here run reader --image="$image" --restart=Never \
        --overrides="$(printf "$mount" reader "$image" '["read", "/data/file"]')" >/dev/null
    wait_for_condition 60 --for=jsonpath='{.status.phase}'=Succeeded --namespace "$SPACE" pod/reader
    [ "$(kubectl_here logs reader)" = kept ] || fail "what one pod wrote to a volume, the next does not read"
    passed "a volume keeps what a deleted pod wrote"
}

# traffic COUNT: through the gateway, from inside
traffic() { run_probe "traffic-$RANDOM" load "$1" http://edge.envoy-gateway-system.svc/?delay_ms=20 probe.check.example; }

# ask QUERY: the number of series and the first value
ask() {
    run_probe "ask-$RANDOM" get "http://prometheus.monitoring.svc:9090/api/v1/query?query=$(
        python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1]))' "$1")" |
        python3 -c 'import json, sys
series = json.load(sys.stdin)["data"]["result"]
print(series[0]["value"][1] if series else "nothing")'
}

# asked_for QUERY LOW HIGH: the answer is a number between the two
asked_for() {
    local value
    value=$(ask "$1")
    awk -v value="$value" -v low="$2" -v high="$3" \
        'BEGIN { exit !(value ~ /^[0-9.e+-]+$/ && value + 0 >= low && value + 0 <= high) }' ||
        { echo "$1 = $value, wanted $2 to $3"; return 1; }
}

check_gateway_and_metrics() {
    local cluster="envoy_cluster_name=\"service/$SPACE/probe/80/http\""
    wait_for_condition 60 --for=jsonpath='{.status.parents[0].conditions[?(@.type=="Accepted")].status}'=True \
        --namespace "$SPACE" httproute/probe
    wait_until "the gateway serves the route" 30 traffic 1
    traffic 200 | tail -n 1
    passed "traffic through the gateway"
    wait_until "Prometheus has the backend's requests" 30 \
        asked_for "sum(envoy_cluster_upstream_rq_xx{$cluster,envoy_response_code_class=\"2\"})" 200 300
    passed "requests counted for the backend Service"
    wait_until "a quantile from Envoy's native histogram" 30 \
        asked_for "histogram_quantile(0.5, sum(envoy_cluster_upstream_rq_time{$cluster}))" 18 30
    passed "a native histogram gives the median of a 20 ms answer as 18 to 30 ms"
    wait_until "the pods' own metrics" 30 asked_for "sum(probe_requests_total{namespace=\"$SPACE\",app=\"probe\"})" 200 1000
    passed "annotated pods are scraped, with their labels"
    wait_until "what containers use" 60 \
        asked_for "sum(container_memory_working_set_bytes{namespace=\"$SPACE\",container=\"probe\"})" 1e5 1e9
    passed "the kubelet says what containers use"
}

cluster_is_up || fail "cluster $CLUSTER_NAME is not up" "make cluster-up"
clean_up
trap clean_up EXIT
check_workload
check_names_and_services
check_volume
check_gateway_and_metrics
trap - EXIT
clean_up
say "$CHECKS checks passed"
