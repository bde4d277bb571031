#!/bin/bash
# Takes the test cluster down: processes, mounts, links, routes, cgroups and its state folder. The
# cached binaries and images stay; they are removed by deleting the cache folder.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"

main() {
    local mode
    if [ ! -d "$STATE" ]; then
        say "cluster $CLUSTER_NAME is not up"
        return
    fi
    mode=$(cat "$STATE/mode" 2>/dev/null || cluster_mode)
    "${mode}_down"
    say "cluster $CLUSTER_NAME is down"
}

mkdir -p -- "$CACHE/clusters"
exec 9>"$CACHE/clusters/$CLUSTER_NAME.lock"
flock 9
main
