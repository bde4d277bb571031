#!/bin/bash
# Loads image archives into the running cluster: load-images.sh ARCHIVE...
# Pods that use a reference loaded before keep what they run until they are made anew.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"
(($#)) || fail "no archive is given" "load-images.sh ARCHIVE..."
cluster_is_up || fail "cluster $CLUSTER_NAME is not up" "make cluster-up"
for archive; do
    [ -r "$archive" ] || fail "there is no file $archive" "make images"
    run_step "loading $(basename -- "$archive")" "$LOGS/load-$(basename -- "$archive").log" \
        "$(running_mode)_load_image" "$(readlink -f -- "$archive")"
done
