# shellcheck shell=bash
#
# A real one-node cluster without Docker: node_up, node_down. Needs everything in lib/.

. "$CLUSTER_DIR/node/namespaces.sh"
. "$CLUSTER_DIR/node/daemons.sh"

RUN=$STATE/run
CONFIG=$STATE/config
DATA=$STATE/data

node_is_up() { process_of init >/dev/null; }

node_up() {
    local archives=() name import
    for name in $(images_for node); do archives+=("$(image_archive "$name")"); done

    guard_routes
    start_node_init
    connect_node
    prepare_node_mounts
    make_cgroups
    make_node_pki
    write_node_config
    say "namespaces, links and certificates made"

    start_etcd
    start_api_server
    start_container_runtime
    wait_until "containerd answers" 30 container_tool version
    import_images "${archives[@]}" 9>&- &
    import=$!
    STEP_HINT="read $LOGS/kube-apiserver.log and etcd.log" \
        wait_until "the API server is ready" 90 api_server_ready
    say "API server ready"
    start_controllers
    wait "$import" || { show_tail "$LOGS/import.log"; fail "importing the images"; }
    say "images imported"
    start_node_agents
    apply_node_manifests
    STEP_HINT="read $LOGS/kubelet.log" \
        wait_until "the node is registered" 90 kubectl get node "$NODE_NAME"
    wait_for_condition 90 --for=condition=Ready "node/$NODE_NAME"
    say "node ready"
    require_running etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy
}

api_server_ready() {
    (require_running etcd kube-apiserver) || return "$HOPELESS"
    kubectl get --raw=/readyz
}

apply_node_manifests() {
    DNS_ADDRESS=$DNS_ADDRESS VOLUMES=$DATA/volumes COREDNS_IMAGE=$(image_reference coredns) \
        PROVISIONER_IMAGE=$(image_reference volume-provisioner) \
        "$CLUSTER_DIR/render" "$CLUSTER_DIR"/node/manifests/*.yaml | kubectl apply -f - >"$LOGS/apply-node.log"
}

# Removes whatever is there, also after an interrupted start.
node_down() {
    local init
    if init=$(process_of init); then
        stop_guests "$init"
        # First, so that it does not start containers again while they end.
        stop_process kubelet KILL
        stop_process init KILL
    fi
    for _ in {1..100}; do
        ip link show "$HOST_INTERFACE" >/dev/null 2>&1 || break
        sleep 0.1
    done
    ip link del "$HOST_INTERFACE" 2>/dev/null || true
    remove_cgroups
    rm -rf -- "$STATE"
    remove_mount_points
    remove_guard_routes
}

node_load_image() { container_tool images import "$1"; }

# Without the PID namespace nsenter becomes the command instead of its parent, so that signals reach it.
node_exec() {
    local init
    init=$(process_of init)
    exec nsenter --target "$init" --mount --net --wdns="$PWD" -- "$@"
}
