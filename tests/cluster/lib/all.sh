# shellcheck shell=bash
#
# Everything, for the scripts that deal with a whole cluster.

. "$(dirname -- "${BASH_SOURCE[0]}")/settings.sh"
. "$CLUSTER_DIR/lib/progress.sh"
. "$CLUSTER_DIR/lib/binaries.sh"
. "$CLUSTER_DIR/lib/gateway-manifests.sh"
. "$CLUSTER_DIR/lib/images.sh"
. "$CLUSTER_DIR/lib/pki.sh"
. "$CLUSTER_DIR/lib/processes.sh"
. "$CLUSTER_DIR/lib/services.sh"
. "$CLUSTER_DIR/node/node.sh"
. "$CLUSTER_DIR/kind/kind.sh"

PATH=$(dirname -- "$(binary kubectl)"):$PATH

docker_engine_answers() { command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1; }

# cluster_mode: what would be brought up on this machine
cluster_mode() {
    case ${PENIN_CLUSTER_MODE-} in
        node | kind) echo "$PENIN_CLUSTER_MODE" ;;
        "") if docker_engine_answers; then echo kind; else echo node; fi ;;
        *) fail "PENIN_CLUSTER_MODE is '$PENIN_CLUSTER_MODE'" "set it to node or kind, or not at all" ;;
    esac
}

# running_mode: of the cluster that is there
running_mode() { cat "$STATE/mode" 2>/dev/null; }

cluster_is_up() {
    local mode
    [ -e "$STATE/ready" ] && mode=$(running_mode) && "${mode}_is_up"
}
