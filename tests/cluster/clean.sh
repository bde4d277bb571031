#!/bin/bash
# Removes the cache folder: binaries, images, logs. Refuses while something of it runs, and when the
# folder holds what is not ours.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"

[ -d "$CACHE" ] || exit 0
[ -z "$(find "$CACHE/clusters" "$CACHE/control-planes" -mindepth 1 -maxdepth 1 -type d 2>/dev/null)" ] ||
    fail "clusters are left in $CACHE" "PENIN_CLUSTER=N make cluster-down; make control-plane-down"
for entry in "$CACHE"/*; do
    case $(basename -- "$entry") in
        bin | build | build.lock | clusters | control-planes | images | logs | manifests | python | strangers | '*') ;;
        *) fail "$entry is not ours" "remove it, or set PENIN_CACHE to the right folder" ;;
    esac
done
rm -rf -- "$CACHE"
say "$CACHE is removed"
