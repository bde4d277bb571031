#!/bin/bash
# kubectl for the running cluster: kubectl.sh ARGUMENTS...
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/settings.sh"
. "$CLUSTER_DIR/lib/progress.sh"
. "$CLUSTER_DIR/lib/binaries.sh"
exec "$(binary kubectl)" "$@"
