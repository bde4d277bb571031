#!/bin/bash
# Brings the test cluster up: a Kubernetes node (in kind where a Docker engine answers, else made of
# plain processes in namespaces of their own), Envoy Gateway and Prometheus.
# A cluster that is up is left as it is. Settings: lib/settings.sh.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"

print_use() {
    say "cluster $CLUSTER_NAME is up. In a shell: eval \"\$($CLUSTER_DIR/env.sh)\""
    echo "kubeconfig: $KUBECONFIG"
}

# What a cluster is made of, as a digest.
cluster_definition() { source_digest lib/versions.sh manifests node kind; }

# A cluster of another checkout may differ. CI tests what it was given, so it gets a new one; a person
# may have work on the old one.
is_current() {
    [ "$(cat "$STATE/ready")" != "$(cluster_definition)" ] || return 0
    if [ "${CI-}" = true ]; then
        say "the running cluster is another version's; it is replaced"
        return 1
    fi
    say "note: the running cluster was made by another version of these scripts (make cluster-down cluster-up renews it)"
}

main() {
    local mode
    if cluster_is_up && is_current; then
        wait_until "the API server of the running cluster answers" 30 kubectl get --raw=/readyz
        print_use
        return
    fi
    mode=$(cluster_mode)
    say "bringing up cluster $CLUSTER_NAME as a $mode cluster; files below $CACHE"
    "${mode}_down"
    "$CLUSTER_DIR/preflight.sh" "$mode"
    "$CLUSTER_DIR/build.sh" "$mode"
    make_missing_images "$mode"
    mkdir -p -- "$LOGS"
    echo "$mode" >"$STATE/mode"
    "${mode}_up"
    install_services
    wait_for_services
    cluster_definition >"$STATE/ready"
    print_use
}

mkdir -p -- "$CACHE/clusters"
exec 9>"$CACHE/clusters/$CLUSTER_NAME.lock"
flock --nonblock 9 || { say "the cluster is being brought up or down by another process; waiting"; flock 9; }
main
