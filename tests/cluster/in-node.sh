#!/bin/bash
# Runs a command of this machine inside the node's network namespace, where cluster names resolve:
#   in-node.sh CMD...
# A load generator started here shares neither ports nor connection tracking with the machine, and
# needs no route to the cluster. Signals reach the command; down.sh ends it if it still runs.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"
(($#)) || fail "no command is given" "in-node.sh CMD..."
cluster_is_up || fail "cluster $CLUSTER_NAME is not up" "make cluster-up"
"$(running_mode)_exec" "$@"
