# shellcheck shell=bash
#
# What is going on, and for how long: say, fail, run_step, wait_until.

# Scripts that call each other share one clock.
export PENIN_STARTED_MS=${PENIN_STARTED_MS:-$((${EPOCHREALTIME/[.,]/} / 1000))}

elapsed_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000 - ${1:-$PENIN_STARTED_MS})); }

# seconds MILLISECONDS: with one decimal
seconds() { printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); }

say() { printf '[%7s s] %s\n' "$(seconds "$(elapsed_ms)")" "$*"; }

# fail WHAT [WHAT TO DO]
fail() {
    say "FAILED: $1" >&2
    [ -z "${2-}" ] || printf '            what to do: %s\n' "$2" >&2
    exit 1
}

# show_tail LOG: the end of a log, indented, on standard error
show_tail() {
    [ -s "$1" ] || { echo "            (nothing in $1)" >&2; return; }
    echo "            the end of $1:" >&2
    tail -n 25 -- "$1" | sed 's/^/            | /' >&2
}

# What a command returns that has nothing to do here; no failure, but no success either.
ABSENT=78

# try_step WHAT LOG COMMAND...: runs the command with its output in LOG and says every ten seconds
# that it still runs. Sets STEP_STATUS to the command's status and STEP_SECONDS; unless the status is 0
# or ABSENT, the end of the log is shown. It does not return the status, and must be called on its own:
# on the left of || or in an if, bash would go on after errors inside the command.
# The command gets a process group of its own, so that an interrupt ends all of it.
try_step() {
    local what=$1 log=$2 begun process shown=10
    STEP_STATUS=0
    shift 2
    mkdir -p -- "$(dirname -- "$log")"
    begun=$((${EPOCHREALTIME/[.,]/} / 1000))
    set -m
    "$@" </dev/null >"$log" 2>&1 &
    process=$!
    set +m
    # shellcheck disable=SC2064  # this very process
    trap "kill -TERM -- -$process 2>/dev/null; trap - INT TERM; exit 130" INT TERM
    while kill -0 "$process" 2>/dev/null; do
        sleep 0.1
        if (($(elapsed_ms "$begun") >= shown * 1000)); then
            say "  ... $what: $shown s"
            # Ever more seldom: a log that is read afterwards need not hold hundreds of these.
            shown=$((shown < 60 ? shown + 10 : shown + 60))
        fi
    done
    wait "$process" || STEP_STATUS=$?
    trap - INT TERM
    STEP_SECONDS=$(seconds "$(elapsed_ms "$begun")")
    ((STEP_STATUS == 0 || STEP_STATUS == ABSENT)) || show_tail "$log"
}

# run_step WHAT LOG COMMAND...: the same, and the script ends when the command fails.
run_step() {
    try_step "$@"
    ((STEP_STATUS == 0)) || fail "$1 (exit status $STEP_STATUS, after $STEP_SECONDS s)" "${STEP_HINT-}"
    say "$1: $STEP_SECONDS s"
}

# What a command of wait_until returns when waiting longer is of no use.
HOPELESS=77

# wait_until WHAT SECONDS COMMAND...: until the command succeeds; fails with its last words.
wait_until() {
    local what=$1 limit=$2 begun answer status
    shift 2
    begun=$((${EPOCHREALTIME/[.,]/} / 1000))
    while :; do
        status=0
        answer=$("$@" 2>&1) || status=$?
        ((status != 0)) || return 0
        if ((status == HOPELESS)) || (($(elapsed_ms "$begun") > limit * 1000)); then
            printf '            | %s\n' "${answer:-(no output)}" >&2
            fail "$what: not after $(seconds "$(elapsed_ms "$begun")") s" "${STEP_HINT-}"
        fi
        sleep 0.1
    done
}
