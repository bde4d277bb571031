# shellcheck shell=bash disable=SC2034  # read by the scripts that source this file
#
# Places, names and addresses. The user's choices are three variables:
#   PENIN_CACHE         the one folder outside the repository that is ever written to
#   PENIN_CLUSTER       0 (default) to 9: clusters side by side, sharing nothing but binaries
#   PENIN_CLUSTER_MODE  node or kind; unset: kind where a Docker engine answers, else node

CLUSTER_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
REPOSITORY=$(cd -- "$CLUSTER_DIR/../.." && pwd)
. "$CLUSTER_DIR/lib/versions.sh"

CACHE=${PENIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/penin-omega}
BINARIES=$CACHE/bin           # <name>-<version>/<name>
IMAGES=$CACHE/images          # <name>-<version>.tar
MANIFESTS=$CACHE/manifests    # rendered third-party manifests, by version
PRODUCT_IMAGES=$REPOSITORY/target/images

CLUSTER_ID=${PENIN_CLUSTER:-0}
case $CLUSTER_ID in
    [0-9]) ;;
    *) echo "PENIN_CLUSTER is '$CLUSTER_ID': one digit, 0 to 9, is wanted" >&2; exit 2 ;;
esac
CLUSTER_NAME=penin-omega-$CLUSTER_ID
STATE=$CACHE/clusters/$CLUSTER_NAME
LOGS=$STATE/logs
PKI=$STATE/pki
export KUBECONFIG=$STATE/kubeconfig

# The node's own process tree: a veth pair joins it to this machine, and its ranges lead nowhere else.
NODE_NAME=node1
HOST_INTERFACE=penin$CLUSTER_ID
HOST_ADDRESS=10.200.$CLUSTER_ID.1
NODE_ADDRESS=10.200.$CLUSTER_ID.2
LINK_RANGE=10.200.$CLUSTER_ID.0/24
POD_RANGE=10.$((244 + CLUSTER_ID)).0.0/16
NODE_POD_RANGE=10.$((244 + CLUSTER_ID)).0.0/24
SERVICE_RANGE=10.$((96 + CLUSTER_ID)).0.0/16
API_SERVICE_ADDRESS=10.$((96 + CLUSTER_ID)).0.1
DNS_ADDRESS=10.$((96 + CLUSTER_ID)).0.10
NODE_RANGES=("$LINK_RANGE" "$POD_RANGE" "$SERVICE_RANGE")
GUARD_METRIC=4000
# Service addresses of a control plane without nodes: nobody answers there, and nothing leaves loopback.
PLANE_SERVICE_RANGE=127.96.0.0/16
CGROUP=/penin-omega-$CLUSTER_ID
CONTAINERD_SOCKET=/run/containerd/containerd.sock   # in the node's mount namespace

# Requests to the cluster never belong to a proxy.
no_proxy=127.0.0.1,localhost,10.0.0.0/8,.svc,.cluster.local${no_proxy:+,$no_proxy}
export no_proxy NO_PROXY=$no_proxy

# The registry part of every image made here. It cannot be resolved, so nothing is ever pulled.
REGISTRY=penin.local
