# shellcheck shell=bash
#
# What every cluster gets, whatever it runs on: Envoy Gateway with one shared Gateway, Prometheus.

# wait_for_condition SECONDS KUBECTL-WAIT-ARGUMENTS...: also for objects that do not exist yet
wait_for_condition() {
    local limit=$1
    shift
    wait_until "kubectl wait $*" "$limit" kubectl wait --timeout=5s "$@"
}

install_services() {
    kubectl apply --server-side -f "$GATEWAY_MANIFESTS/crds" >"$LOGS/apply-crds.log"
    kubectl create namespace envoy-gateway-system --dry-run=client -o yaml | kubectl apply -f - >"$LOGS/apply-gateway.log"
    PROMETHEUS_IMAGE=$(image_reference prometheus) "$CLUSTER_DIR/render" "$CLUSTER_DIR/manifests/prometheus.yaml" |
        kubectl apply -f - >"$LOGS/apply-prometheus.log"
    wait_for_condition 60 --for=condition=Established crd/gateways.gateway.networking.k8s.io \
        crd/httproutes.gateway.networking.k8s.io crd/envoyproxies.gateway.envoyproxy.io
    kubectl apply -f "$GATEWAY_MANIFESTS/install.yaml" >>"$LOGS/apply-gateway.log"
    ENVOY_REPLICAS=${PENIN_ENVOY_REPLICAS:-1} ENVOY_IMAGE=$ENVOY_IMAGE \
        "$CLUSTER_DIR/render" "$CLUSTER_DIR/manifests/gateway.yaml" | kubectl apply -f - >>"$LOGS/apply-gateway.log"
    say "gateway and Prometheus applied"
}

# show_trouble: what a person would look at first
show_trouble() {
    kubectl get pods --all-namespaces -o wide | awk 'NR == 1 || $4 != "Running"'
    kubectl get events --all-namespaces --field-selector type=Warning --sort-by=.lastTimestamp | tail -n 15
}

wait_for_services() {
    # shellcheck disable=SC2154  # set in the trap itself
    trap 'status=$?; ((status == 0)) || show_trouble >&2; exit $status' EXIT
    local hint="eval \"\$($CLUSTER_DIR/env.sh)\"; kubectl get pods -A"
    STEP_HINT=$hint wait_for_condition 180 --for=condition=Available -n envoy-gateway-system deployment/envoy-gateway
    say "Envoy Gateway ready"
    STEP_HINT=$hint wait_for_condition 180 --for=condition=Available -n monitoring deployment/prometheus
    STEP_HINT=$hint wait_for_condition 180 --for=condition=Programmed -n gateway gateway/edge
    say "Prometheus ready, gateway programmed"
    trap - EXIT
}
