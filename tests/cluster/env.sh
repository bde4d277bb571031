#!/bin/bash
# Prints what a shell needs to use the cluster: eval "$(tests/cluster/env.sh)"
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/settings.sh"
. "$CLUSTER_DIR/lib/progress.sh"
. "$CLUSTER_DIR/lib/binaries.sh"
printf 'export KUBECONFIG=%q\n' "$KUBECONFIG"
# shellcheck disable=SC2016  # expanded by the shell that reads it
printf 'export PATH=%q:%q:$PATH\n' "$(dirname -- "$(binary kubectl)")" "$(dirname -- "$(binary helm)")"
printf 'export no_proxy=%q NO_PROXY=%q\n' "$no_proxy" "$no_proxy"
