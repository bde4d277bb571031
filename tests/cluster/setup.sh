#!/bin/bash
# Installs the Debian packages that a mode lacks: setup.sh [node|kind|control-plane|faults]
# A service that the installation starts is stopped again: the cluster runs its own containerd.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends "$@"
}

main() {
    local packages=() containerd_was_there=
    mapfile -t packages < <("$CLUSTER_DIR/preflight.sh" --packages "$@")
    ((${#packages[@]})) || { say "every package that is needed is installed"; return; }
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "these packages are missing: ${packages[*]}" "as root on Debian or Ubuntu: apt-get install ${packages[*]}"
    fi
    ! command -v containerd >/dev/null || containerd_was_there=1
    STEP_HINT="apt-get update may be out of date or the network down" \
        run_step "installing ${packages[*]}" "$CACHE/logs/setup.log" install_packages "${packages[@]}"
    if [ -z "$containerd_was_there" ] && [ -d /run/systemd/system ] && command -v containerd >/dev/null; then
        systemctl disable --now containerd
    fi
}
main "$@"
