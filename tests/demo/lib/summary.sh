# shellcheck shell=bash
#
# The end: an independent look at what happened.

# The ledger is checked by the command-line tool inside the operator's image, from the files on the volume.
verify_ledger() {
    local status=0
    kubectl exec -n "$SYSTEM" penin-operator-0 -- /peninctl ledger verify /var/lib/penin/ledger \
        >"$RESULTS/ledger-verify.txt" 2>&1 || status=$?
    indent <"$RESULTS/ledger-verify.txt"
    ((status == 0)) || fail "the ledger does not verify (exit status $status)" "read $RESULTS/ledger-verify.txt"
    kubectl exec -n "$SYSTEM" penin-operator-0 -- /peninctl ledger show /var/lib/penin/ledger \
        --cycle "$NAMESPACE/$CYCLE" >"$RESULTS/ledger.txt"
}

# The client's own counts, not the operator's status.
summarise() {
    kubectl get --raw "/api/v1/namespaces/$NAMESPACE/pods/player:8000/proxy/report" >"$RESULTS/report.json"
    kubectl get challengers -n "$NAMESPACE" -o json >"$RESULTS/challengers.json"
    "$PENINCTL" get challengers -n "$NAMESPACE" | indent
    python3 "$DEMO_DIR/summary.py" "$RESULTS/report.json" "$RESULTS/challengers.json" | indent
    say "all of it is in target/demo/; the cluster still runs: make demo-down removes it"
}
