#!/bin/bash
# Runs test suites and counts what passed: run.sh [SUITE...]     (default: all)
# Each suite's output is in target/test-logs/<suite>.log. A failing suite does not stop the others.
# The last line is "N passed, N failed, N skipped"; skipped are suites that this checkout lacks.
# A cluster that was not running before is taken down at the end.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/cluster/lib/all.sh"

SUITES=(lint unit api e2e crosscheck strangers)
TEST_LOGS=$REPOSITORY/target/test-logs
PASSED=0
FAILED=0
SKIPPED=0

# --- The suites. Each runs in a process of its own, from the repository's root, and stops at its first error.
# One that this checkout does not have returns ABSENT.

suite_lint() {
    set -e
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
    for script in tests/run.sh .ci/run tests/cluster/*.sh tests/cluster/*/*.sh; do bash -n "$script"; done
    echo "4 passed, 0 failed"
}

suite_unit() {
    set -e
    cargo test --locked --workspace --exclude penin-tests --no-fail-fast
    cargo test --locked --package penin-tests --lib --no-fail-fast
}

# test_targets e2e|other: options that name the integration tests in tests/tests
test_targets() {
    local file name
    for file in "$REPOSITORY"/tests/tests/*.rs; do
        name=$(basename -- "$file" .rs)
        case $1/$name in
            e2e/e2e | e2e/e2e_* ) echo --test; echo "$name" ;;
            e2e/* | other/e2e | other/e2e_*) ;;
            *) echo --test; echo "$name" ;;
        esac
    done
}

# Everything that needs no more than an API server.
suite_api() {
    set -e
    local targets
    mapfile -t targets < <(test_targets other)
    tests/cluster/control-plane.sh up
    cargo test --locked --package penin-tests --no-fail-fast "${targets[@]}"
}

suite_e2e() {
    set -e
    local targets
    mapfile -t targets < <(test_targets e2e)
    ((${#targets[@]})) || return "$ABSENT"
    tests/cluster/up.sh
    tests/cluster/product-images.sh --load
    cargo test --locked --package penin-tests --no-fail-fast "${targets[@]}"
}

# use_python REQUIREMENTS: a virtual environment for these very requirements, in the cache
use_python() {
    local place
    place=$CACHE/python/$(sha256sum <"$1" | cut -c1-12)
    if [ ! -e "$place/complete" ]; then
        rm -rf -- "$place"
        python3 -m venv -- "$place"
        "$place/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --requirement "$1"
        touch "$place/complete"
    fi
    PATH=$place/bin:$PATH
}

# need_file FILE: the suite is there, so what it is made of must be
need_file() { [ -e "$1" ] || { echo "$1 is missing, and its suite is not" >&2; return 1; }; }

# The mathematics against independent implementations.
suite_crosscheck() {
    set -e
    local folder=engine/tests/crosscheck
    [ -d "$folder" ] || return "$ABSENT"
    need_file "$folder/requirements.txt"
    use_python "$folder/requirements.txt"
    if [ -x "$folder/run.sh" ]; then "$folder/run.sh"; else python -m pytest -q "$folder"; fi
}

# What the ledger writes, read by tools that are not ours.
suite_strangers() {
    set -e
    local folder=engine/ledger/tests/strangers
    [ -d "$folder" ] || return "$ABSENT"
    need_file "$folder/run.sh"
    [ ! -e "$folder/requirements.txt" ] || use_python "$folder/requirements.txt"
    "$folder/run.sh"
}

# --- Counting.

# count LOG: adds up the closing lines of cargo test, pytest and our own scripts
count() {
    local passed failed
    read -r passed failed < <(awk '
        /^test result: / || /^=*[ ]*[0-9]+ (passed|failed)/ {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) p += $(i - 1)
                if ($i ~ /^failed/) f += $(i - 1)
            }
        }
        END { print p + 0, f + 0 }' "$1")
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    SUITE_COUNTS="$passed passed, $failed failed"
    SUITE_FAILED=$failed
    SUITE_TOTAL=$((passed + failed))
}

run_suite() {
    local name=$1 status=0 log=$TEST_LOGS/$1.log
    try_step "$name" "$log" "suite_$name" || status=$?
    if ((status == ABSENT)); then
        SKIPPED=$((SKIPPED + 1))
        say "$name: SKIPPED, this checkout does not have it"
        return
    fi
    count "$log"
    # A suite that broke off before it could count, or that ran nothing, has failed.
    if ((SUITE_FAILED == 0 && (status != 0 || SUITE_TOTAL == 0))); then FAILED=$((FAILED + 1)); fi
    if ((status == 0 && SUITE_TOTAL > 0)); then
        say "$name: $SUITE_COUNTS, $STEP_SECONDS s"
    else
        say "$name: FAILED after $STEP_SECONDS s ($SUITE_COUNTS); all of it in $log"
    fi
}

# What runs now is left running; the rest is taken down at the end.
note_running() {
    CLUSTER_WAS_UP=$(cluster_is_up && echo yes || true)
    PLANES_BEFORE=$("$CLUSTER_DIR/control-plane.sh" list)
}

take_down_what_was_started() {
    [ -n "$CLUSTER_WAS_UP" ] || "$CLUSTER_DIR/down.sh" || true
    grep -q -x shared <<<"$PLANES_BEFORE" || "$CLUSTER_DIR/control-plane.sh" down shared || true
}

main() {
    local suites=("$@") name
    (($#)) || suites=("${SUITES[@]}")
    for name in "${suites[@]}"; do
        [[ " ${SUITES[*]} " = *" $name "* ]] || fail "no suite is called '$name'" "one of: ${SUITES[*]}"
    done
    cd -- "$REPOSITORY"
    note_running
    trap take_down_what_was_started EXIT
    for name in "${suites[@]}"; do run_suite "$name"; done
    trap - EXIT
    take_down_what_was_started
    say "${suites[*]}: done"
    echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
    ((FAILED == 0 && PASSED > 0))
}
main "$@"
