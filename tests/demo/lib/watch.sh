# shellcheck shell=bash
#
# What happens, one line for each change.

indent() { sed 's/^/            /'; }

# field KIND/NAME JSONPATH
field() { kubectl get "$1" -n "$NAMESPACE" -o jsonpath="$2" --request-timeout=5s 2>/dev/null; }

# follow_cycle WHAT JSONPATH VALUE SECONDS: until a field of the cycle's status has a value
follow_cycle() {
    local object=penincycle/$CYCLE begun shown="" line
    begun=$((${EPOCHREALTIME/[.,]/} / 1000))
    while :; do
        line=$(field "$object" '{.status.conditions[?(@.type=="Ready")].message}') || line=
        if [ -n "$line" ] && [ "$line" != "$shown" ]; then say "   ${line:0:180}"; shown=$line; fi
        [ "$(field "$object" "$2")" != "$3" ] || break
        (($(elapsed_ms "$begun") < $4 * 1000)) ||
            fail "$1: not after $4 s" "$PENINCTL get cycle $CYCLE -n $NAMESPACE; kubectl logs -n $SYSTEM penin-operator-0"
        sleep 0.5
    done
    say "   $1"
}

# follow_challenger NAME EXPECTED SECONDS: until its life is over
follow_challenger() {
    local begun shown="" line phase
    begun=$((${EPOCHREALTIME/[.,]/} / 1000))
    while :; do
        phase=$(field "challenger/$1" '{.status.phase}') || phase=
        line=$(field "challenger/$1" '{.status.phase}: {.status.message}') || line=
        if [ -n "$phase" ] && [ "$line" != "$shown" ]; then say "   ${line:0:180}"; shown=$line; fi
        case $phase in
            Promoted | Rejected | RolledBack | Aborted) break ;;
        esac
        (($(elapsed_ms "$begun") < $3 * 1000)) ||
            fail "challenger $1 has not ended after $3 s" "$PENINCTL explain challenger $1 -n $NAMESPACE"
        sleep 0.5
    done
    [ "$phase" = "$2" ] || fail "challenger $1 ended $phase, and $2 was expected" \
        "$PENINCTL explain challenger $1 -n $NAMESPACE; kubectl logs -n $SYSTEM penin-operator-0"
}
