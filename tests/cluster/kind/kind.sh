# shellcheck shell=bash
#
# A cluster in Docker by kind: kind_up, kind_down. Needs everything in lib/. Its kubeconfig is written
# to the state folder; the user's own is not touched, nor is any other kind cluster.
#   KIND_NODE_IMAGE  another node image than the one kind's version comes with
#   KIND_CONFIG      another configuration than kind-config.yaml, for a node image of one's own

kind_tool() { "$(binary kind)" "$@"; }

kind_node() { echo "$CLUSTER_NAME-control-plane"; }

kind_is_up() { [ "$(docker inspect --format '{{.State.Running}}' "$(kind_node)" 2>/dev/null)" = true ]; }

kind_up() {
    local name options=()
    [ -z "${KIND_NODE_IMAGE-}" ] || options=(--image "$KIND_NODE_IMAGE")
    STEP_HINT="docker logs $(kind_node), if it is there; the node image may have to be downloaded" \
        run_step "kind create cluster" "$LOGS/kind.log" kind_tool create cluster --name "$CLUSTER_NAME" \
        --config "${KIND_CONFIG:-$REPOSITORY/kind-config.yaml}" --kubeconfig "$KUBECONFIG" --wait 180s "${options[@]}"
    for name in $(images_for kind); do kind_load_image "$(image_archive "$name")" >>"$LOGS/import.log" 2>&1; done
    say "images loaded"
    wait_until "the default service account exists" 60 kubectl get serviceaccount default
}

kind_down() {
    # Without the binary nothing of ours can have been started.
    if [ -x "$(binary kind)" ] && docker_engine_answers; then
        kind_tool delete cluster --name "$CLUSTER_NAME" --kubeconfig "$KUBECONFIG" 2>/dev/null
    fi
    rm -rf -- "$STATE"
}

kind_load_image() { kind_tool load image-archive "$1" --name "$CLUSTER_NAME"; }

# A program of this machine must be static to run there: the node has a C library of its own. Names of
# Services do not resolve in the node, their addresses work.
kind_exec() {
    local program=$1 place node record=/run/penin-exec-$$ answer signal status=0
    shift
    node=$(kind_node)
    if [[ $program = */* ]]; then
        place=/usr/local/bin/$(basename -- "$program")
        # Its --quiet came with Docker 23.
        answer=$(docker cp "$program" "$node:$place" 2>&1) || fail "docker cp $program: $answer"
        program=$place
    fi
    # shellcheck disable=SC2016  # expanded in the node
    docker exec --interactive "$node" sh -c 'echo $$ >"$0"; exec "$@"' "$record" "$program" "$@" <&0 &
    # docker exec hands no signal on.
    for signal in INT TERM HUP; do
        # shellcheck disable=SC2064  # this very command
        trap "docker exec '$node' sh -c 'kill -$signal \$(cat $record)'" "$signal"
    done
    # A trap ends the first wait.
    while kill -0 "$!" 2>/dev/null; do wait "$!" && status=0 || status=$?; done
    docker exec "$node" rm -f "$record"
    return "$status"
}
