#!/bin/bash
# An API server without nodes, for tests of controllers: etcd, kube-apiserver and, of
# kube-controller-manager, the controllers that delete (namespaces, owned objects) and those that give
# a namespace its service account. Plain processes on loopback, no root, free ports.
#   control-plane.sh up [NAME]      starts it, or finds it running; prints "kubeconfig: PATH" last
#   control-plane.sh down [NAME]    ends it and removes what it wrote
#   control-plane.sh down-all       ends all of them
#   control-plane.sh list           names of those that run
# NAME (default "shared") keeps several apart.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/settings.sh"
. "$CLUSTER_DIR/lib/progress.sh"
. "$CLUSTER_DIR/lib/binaries.sh"
. "$CLUSTER_DIR/lib/pki.sh"
. "$CLUSTER_DIR/lib/processes.sh"

PLANES=$CACHE/control-planes
CONTROLLERS=namespace-controller,garbage-collector-controller,serviceaccount-controller,root-ca-certificate-publisher-controller

use_name() {
    case $1 in
        "" | *[!a-z0-9-]*) fail "'$1' is not a name" "lower-case letters, digits and hyphens" ;;
    esac
    CLUSTER_NAME=penin-$1
    STATE=$PLANES/$1
    RUN=$STATE/run
    LOGS=$STATE/logs
    export KUBECONFIG=$STATE/kubeconfig
}

is_up() { [ -e "$STATE/ready" ] && process_of etcd >/dev/null && process_of kube-apiserver >/dev/null && process_of kube-controller-manager >/dev/null; }

# free_ports COUNT: that many, by asking the kernel
free_ports() {
    python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))' "$1"
}

make_pki() (
    umask 077
    cd -- "$STATE"
    make_authority ca "$CLUSTER_NAME"
    issue apiserver ca /CN=kube-apiserver serverAuth DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1
    issue admin ca /O=system:masters/CN=kubernetes-admin clientAuth
    make_service_account_key
    write_kubeconfig "$KUBECONFIG" "https://127.0.0.1:$1" admin
)

# etcd listens on sockets in the state folder: on a port, every user of this machine could write to it.
# Their paths are relative, for a socket's may have no more than 107 characters; etcd wants them to look
# like an address with a port.
start_all() {
    local api_port=$1 controller_port=$2
    cd -- "$STATE"
    start_process etcd "$(binary etcd)" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls unix://client:0 --advertise-client-urls unix://client:0 \
        --listen-peer-urls unix://peer:0 --initial-advertise-peer-urls unix://peer:0 \
        --initial-cluster default=unix://peer:0
    start_process kube-apiserver "$(binary kube-apiserver)" --etcd-servers=unix://client:0 \
        --bind-address=127.0.0.1 --secure-port="$api_port" --advertise-address=127.0.0.1 \
        --endpoint-reconciler-type=none --service-cluster-ip-range="$PLANE_SERVICE_RANGE" \
        --authorization-mode=Node,RBAC --allow-privileged=true --profiling=false \
        --client-ca-file=ca.crt --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key \
        --service-account-key-file=service-account.pub --service-account-signing-key-file=service-account.key \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local
    start_process kube-controller-manager "$(binary kube-controller-manager)" --kubeconfig="$KUBECONFIG" \
        --controllers="$CONTROLLERS" --bind-address=127.0.0.1 --secure-port="$controller_port" \
        --leader-elect=false --profiling=false --root-ca-file=ca.crt \
        --service-account-private-key-file=service-account.key --concurrent-namespace-syncs=10
}

answers() {
    (require_running etcd kube-apiserver) || return "$HOPELESS"
    kubectl get --raw=/readyz
}

bring_up() {
    local ports
    if is_up; then
        say "control plane '$1' runs"
        echo "kubeconfig: $KUBECONFIG"
        return
    fi
    take_down
    "$CLUSTER_DIR/preflight.sh" control-plane
    "$CLUSTER_DIR/build.sh" control-plane
    PATH=$(dirname -- "$(binary kubectl)"):$PATH
    mkdir -p -- "$STATE" "$LOGS" "$RUN"
    chmod 700 -- "$STATE"
    read -r -a ports < <(free_ports 2)
    make_pki "${ports[0]}"
    start_all "${ports[@]}"
    STEP_HINT="read $LOGS" wait_until "the API server is ready" 180 answers
    # The last sign that the controllers work.
    STEP_HINT="read $LOGS/kube-controller-manager.log" \
        wait_until "the default service account exists" 180 kubectl get serviceaccount default
    require_running kube-controller-manager
    touch "$STATE/ready"
    say "control plane '$1' is up at 127.0.0.1:${ports[0]}"
    echo "kubeconfig: $KUBECONFIG"
}

take_down() {
    local name
    [ -d "$STATE" ] || return 0
    for name in kube-controller-manager kube-apiserver etcd; do stop_process "$name" KILL; done
    rm -rf -- "$STATE"
}

known_names() {
    local folder
    for folder in "$PLANES"/*/; do
        [ ! -d "$folder" ] || basename -- "$folder"
    done
}

running_names() {
    local name
    for name in $(known_names); do
        use_name "$name"
        ! is_up || echo "$name"
    done
}

# locked NAME COMMAND...
locked() {
    use_name "$1"
    shift
    mkdir -p -- "$PLANES"
    exec 9>"$STATE.lock"
    flock 9
    "$@"
}

case ${1-} in
    up) locked "${2:-shared}" bring_up "${2:-shared}" ;;
    down)
        locked "${2:-shared}" take_down
        say "control plane '${2:-shared}' is down" ;;
    list) running_names ;;
    down-all)
        for name in $(known_names); do (locked "$name" take_down); done
        say "no control plane is left" ;;
    *) fail "'${1-}' is not a command" "up [NAME], down [NAME], down-all or list" ;;
esac
