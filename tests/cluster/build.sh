#!/bin/bash
# Builds the binaries that a mode needs and the cache lacks, from Go modules only.
#   build.sh node|kind|control-plane...
# Go's build and module caches live below the cache folder while this runs and are dropped at the
# end (8 GB against 1 GB of binaries); the user's own are not touched.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/settings.sh"
. "$CLUSTER_DIR/lib/progress.sh"
. "$CLUSTER_DIR/lib/binaries.sh"
. "$CLUSTER_DIR/lib/gateway-manifests.sh"
. "$CLUSTER_DIR/lib/go.sh"

WORK=$CACHE/build
BUILD_LOGS=$CACHE/logs/build
STEP_HINT="check the network and the free disk space, then run it again: what is built is kept"

# The version of a module that is built through go/ is written in two places.
require_same_version() {
    grep -q -F -- "$2 $3" "$CLUSTER_DIR/go/$1/go.mod" ||
        fail "go/$1/go.mod does not name $2 $3" "make lib/versions.sh and that file agree"
}

build_one() {
    local name=$1 target
    target=$(binary "$name")
    mkdir -p -- "$(dirname -- "$target")"
    run_step "building $name $(version_of "$name")" "$BUILD_LOGS/$name.log" build_binary "$name" "$target.new"
    mv -- "$target.new" "$target"
}

main() {
    local mode name wanted=()
    for mode; do
        mapfile -t -O "${#wanted[@]}" wanted < <(missing_binaries "$mode")
        case $mode in node | kind) gateway_manifests_present || wanted+=(gateway-manifests) ;; esac
    done
    ((${#wanted[@]})) || return 0
    mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | awk '!seen[$0]++')

    require_same_version kubernetes k8s.io/kubernetes "$KUBERNETES_VERSION"
    require_same_version etcd go.etcd.io/etcd/server/v3 "$ETCD_VERSION"
    require_same_version addons github.com/coredns/coredns "$COREDNS_VERSION"
    say "to build: ${wanted[*]} (all of a node take ten to fifteen minutes on two cores, once)"
    # Left behind by a build that was killed; the lock says that none is running.
    rm -rf -- "$WORK"
    trap 'rm -rf -- "$WORK"' EXIT
    use_temporary_go_caches "$WORK"
    for name in "${wanted[@]}"; do
        case $name in
            # helm is needed for it, and comes before it in the list
            gateway-manifests) run_step "rendering the gateway's manifests" "$BUILD_LOGS/$name.log" render_gateway_manifests ;;
            *) build_one "$name" ;;
        esac
    done
}

mkdir -p -- "$CACHE"
exec 9>"$CACHE/build.lock"
flock --nonblock 9 || { say "another build is running in $CACHE; waiting for it"; flock 9; }
main "$@" 9>&-
