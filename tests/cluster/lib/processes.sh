# shellcheck shell=bash
#
# Background processes that outlive the script, found again by pid and start time: a pid alone may
# have been given to somebody else since. Records are files in $RUN.

# start_time PID: in clock ticks since boot, or nothing; field 22 of stat, counted after the command
# name, which may hold spaces
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # shellcheck disable=SC2086  # the fields are words
    set -- ${stat##*) }
    echo "${20}"
}

record_process() { echo "$2 $(start_time "$2")" >"$RUN/$1"; }

# process_of NAME: its pid if it is still the recorded one
process_of() {
    local pid time
    [ -s "$RUN/$1" ] && read -r pid time <"$RUN/$1" && [ -n "$time" ] && [ "$(start_time "$pid")" = "$time" ] && echo "$pid"
}

# start_process NAME COMMAND...: detached, with its output in $LOGS/NAME.log.
# File descriptor 9 is the caller's lock and must not live on in a daemon.
start_process() {
    local name=$1
    shift
    mkdir -p -- "$RUN" "$LOGS"
    setsid "$@" </dev/null >>"$LOGS/$name.log" 2>&1 9>&- &
    record_process "$name" $!
}

# require_running NAME...: fails with the log of the first one that has ended
require_running() {
    local name
    for name; do
        process_of "$name" >/dev/null || { show_tail "$LOGS/$name.log"; fail "$name has ended"; }
    done
}

# stop_process NAME [SIGNAL]: and wait up to ten seconds before it is killed
stop_process() {
    local pid
    if pid=$(process_of "$1"); then
        kill "-${2:-TERM}" "$pid" 2>/dev/null || true
        for _ in {1..100}; do
            process_of "$1" >/dev/null || break
            sleep 0.1
        done
        ! process_of "$1" >/dev/null || kill -KILL "$pid" 2>/dev/null || true
    fi
    rm -f -- "$RUN/$1"
}
