#!/bin/bash
# The main demonstration: a served model behind a real gateway, 500 requests a second, and three challengers.
# One is refused before any user saw it, one is taken back from live traffic, one is promoted; every decision is in a
# ledger that is verified at the end. What happened is left in target/demo/.
# Needs what tests/cluster/up.sh needs. The cluster stays; `make demo-down` removes it.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../cluster/lib/all.sh"
DEMO_DIR=$REPOSITORY/tests/demo
RESULTS=$REPOSITORY/target/demo
. "$DEMO_DIR/lib/watch.sh"
. "$DEMO_DIR/lib/summary.sh"

NAMESPACE=demo
CYCLE=income
SYSTEM=penin-system

title() { printf '\n'; say "== $*"; }

# image_in FILE: a manifest with the exact image that was just built
image_in() { sed "s#image: penin.local/model-server:dev#image: $(cat "$PRODUCT_IMAGES/model-server.ref")#" "$1"; }

apply() { kubectl apply -f - >>"$RESULTS/apply.log"; }

# A former run's objects; the ledger and its volume go on.
remove_former_run() {
    kubectl get namespace "$NAMESPACE" >/dev/null 2>&1 || return 0
    STEP_HINT="kubectl get penin -n $NAMESPACE" run_step "removing the objects of a former run" "$RESULTS/remove.log" \
        kubectl delete namespace "$NAMESPACE" --wait --timeout=180s
}

deploy_model() {
    title "A model that is served today: Deployment $CYCLE, one pod"
    image_in "$REPOSITORY/tests/workload/manifests/target.yaml" | apply
    STEP_HINT="kubectl describe pods -n $NAMESPACE" run_step "the model is ready" "$RESULTS/target.log" \
        kubectl rollout status deployment/"$CYCLE" -n "$NAMESPACE" --timeout=120s
}

take_over() {
    title "A gate of the risk team and a cycle of the model's team: kubectl apply -f gate.yaml -f cycle.yaml"
    apply <"$DEMO_DIR/manifests/gate.yaml"
    apply <"$DEMO_DIR/manifests/cycle.yaml"
    follow_cycle "adopted: the route serves a copy of the model" '{.status.conditions[?(@.type=="Adopted")].status}' True 120
}

play_traffic() {
    title "Traffic: 500 requests a second through the gateway, each label 2.5 s later"
    image_in "$REPOSITORY/tests/workload/manifests/player.yaml" | apply
    STEP_HINT="kubectl describe pod player -n $NAMESPACE" run_step "the player plays" "$RESULTS/player.log" \
        kubectl wait pod/player -n "$NAMESPACE" --for=condition=Ready --timeout=60s
    follow_cycle "the champion's scores are recorded as the first reference" '{.status.lastDecision.reason}' BASELINE_RECORDED 240
}

# challenge NAME WHAT EXPECTED-PHASE
challenge() {
    title "$2"
    # One document of the file.
    awk -v name="$1" 'BEGIN { RS = "---\n" } $0 ~ "name: " name "," { print }' \
        "$REPOSITORY/tests/workload/manifests/challengers.yaml" | apply
    follow_challenger "$1" "$3" 600
    "$PENINCTL" explain challenger "$1" -n "$NAMESPACE" | indent || true
}

main() {
    mkdir -p -- "$RESULTS"
    rm -f -- "$RESULTS"/*
    "$CLUSTER_DIR/up.sh"
    "$CLUSTER_DIR/product-images.sh" --load
    PENINCTL=${CARGO_TARGET_DIR:-$REPOSITORY/target}/x86_64-unknown-linux-gnu/image/peninctl
    title "The operator: helm upgrade --install penin-operator charts/penin-operator"
    "$CLUSTER_DIR/operator.sh" install "$SYSTEM"
    remove_former_run
    deploy_model
    take_over
    play_traffic
    challenge unfair "Challenger 'unfair': the most accurate of all, and unfair. It should be refused in shadow" Rejected
    challenge failing "Challenger 'failing': breaks 100 s after its start. It should be taken back from live traffic" RolledBack
    challenge better "Challenger 'better': all features, the same constraint. It should be promoted" Promoted
    title "What the client saw, and what the ledger says"
    verify_ledger
    summarise
}
main "$@"
