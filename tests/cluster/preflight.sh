#!/bin/bash
# Says what a mode needs and this machine lacks, and what on this machine would collide with it, all
# at once, before anything is started: preflight.sh [node|kind|control-plane]
# Without an argument: the mode that up.sh would choose. PENIN_ALLOW_UNTRIED=1 turns "not tried on
# such a machine" into a warning; nothing else can be turned off. With --packages before the mode:
# prints the Debian packages to install, and nothing else.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"

PROBLEMS=()
PACKAGES=()

# problem WHAT WHAT-TO-DO
problem() { PROBLEMS+=("$1"$'\n'"      -> $2"); }

untried() {
    if [ "${PENIN_ALLOW_UNTRIED-}" = 1 ]; then
        say "warning: not tried: $1"
    else
        problem "not tried: $1" "use another machine, or set PENIN_ALLOW_UNTRIED=1 to try it here"
    fi
}

# need_command COMMAND DEBIAN-PACKAGE
need_command() { command -v "$1" >/dev/null || PACKAGES+=("$2"); }

check_machine() {
    [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
        untried "$(uname -s) on $(uname -m): every run so far was on Linux x86_64"
    need_command openssl openssl
    need_command python3 python3
    need_command curl curl
    need_command flock util-linux
    need_command setsid util-linux
}

# Only what is not cached yet needs a compiler.
check_building() {
    local lacking need_mib free_mib have
    lacking=$(missing_binaries "$1" | paste -sd ' ')
    need_mib=2048
    if [ -n "$lacking" ]; then
        need_mib=12288
        if have=$(GOTOOLCHAIN=local go version 2>/dev/null); then
            have=$(echo "$have" | sed 's/.*go\([0-9]*\)\.\([0-9]*\).*/\1 \2/')
            ((${have% *} > 1 || ${have#* } >= 26)) ||
                problem "Go ${have/ /.} is too old to build: $lacking" "install Go 1.26 or newer (https://go.dev/dl)"
        else
            problem "Go is not installed, and these are not cached: $lacking" "install Go 1.26 or newer (https://go.dev/dl)"
        fi
        need_command gcc gcc
        [ -e /usr/include/stdio.h ] || PACKAGES+=(libc6-dev)
    fi
    # Images of ours and of others hold it.
    [ -e /etc/ssl/certs/ca-certificates.crt ] || PACKAGES+=(ca-certificates)
    [ -z "$(missing_images "$1")" ] || python3 -c 'import ensurepip, venv' 2>/dev/null || PACKAGES+=(python3-venv)
    mkdir -p -- "$CACHE"
    free_mib=$(df --output=avail -BM -- "$CACHE" | tail -n 1 | tr -dc 0-9)
    ((free_mib >= need_mib)) ||
        problem "$free_mib MiB are free in $CACHE, and $need_mib are wanted" "free some, or set PENIN_CACHE to another folder"
}

# check_memory MIB
check_memory() {
    local available
    available=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
    ((available >= $1)) || problem "$available MiB of memory are available, and $1 are wanted" "end something else"
}

check_debian() {
    [ "$(id -u)" = 0 ] || {
        problem "a node of our own needs root, and this is $(id -un)" "run as root, or start a Docker engine for a kind cluster"
        return 1
    }
    grep -q -E '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release ||
        untried "$(. /etc/os-release && echo "$PRETTY_NAME"): every run so far was on Debian"
    need_command containerd containerd
    need_command runc runc
    need_command iptables iptables
    need_command conntrack conntrack
    need_command ip iproute2
    need_command nsenter util-linux
    [ -x /usr/lib/cni/bridge ] || PACKAGES+=(containernetworking-plugins)
}

check_container_runtime() {
    local version process
    if version=$(containerd --version 2>/dev/null | sed 's/.* \([0-9]*\.[0-9]*\)\..*/\1/') && [ -n "$version" ]; then
        case $version in
            1.6 | 1.7) ;;
            *) untried "containerd $version: every run so far was with 1.6" ;;
        esac
    fi
    # Debian's package starts one, which setup.sh ends; a Kubernetes node's would be in real use.
    for process in /proc/[0-9]*; do
        [ "$(cat "$process/comm" 2>/dev/null)" = containerd ] || continue
        # One in another network namespace is another cluster's, or inside a container.
        [ "$(readlink "$process/ns/net")" = "$(readlink /proc/self/ns/net)" ] || continue
        untried "a containerd runs on this machine (process ${process#/proc/}); stop it with: systemctl stop containerd"
    done
}

# The namespaces, links and rules that a node is made of, tried out in namespaces that end at once.
check_kernel() {
    local answer
    grep -q -w overlay /proc/filesystems || modprobe overlay 2>/dev/null ||
        problem "the kernel has no overlay file system" "load it: modprobe overlay"
    [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || modprobe br_netfilter 2>/dev/null ||
        problem "the kernel does not filter bridges" "load it: modprobe br_netfilter"
    # shellcheck disable=SC2016  # expanded inside
    answer=$(unshare --mount --net --pid --fork --mount-proc bash -euc '
        ip link add probe0 type veth peer name probe1
        ip link add probe2 type bridge
        mount -t tmpfs tmpfs /run
        iptables -t nat -A OUTPUT -m comment --comment probe -j ACCEPT' 2>&1) ||
        problem "namespaces, veth, bridge or iptables cannot be used here: $answer" \
            "in a container, run it with --privileged"
    case $(stat -f -c %T -- "$CACHE") in
        overlayfs | nfs | tmpfs | fuseblk)
            problem "$CACHE is on $(stat -f -c %T -- "$CACHE"), where containers' file systems cannot be stacked" \
                "set PENIN_CACHE to a folder on ext4 or xfs" ;;
    esac
}

check_cgroups() {
    local controller
    if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
        untried "cgroup v2 alone: every run so far was with v1 hierarchies"
        return
    fi
    for controller in cpu cpuacct cpuset memory devices freezer pids; do
        [ -e "/sys/fs/cgroup/$controller/cgroup.clone_children" ] ||
            untried "cgroup hierarchies without one at /sys/fs/cgroup/$controller"
    done
}

# Any address or route of somebody else that meets one of our ranges, in either direction. Our own
# guard routes are unreachable with our metric.
check_addresses() {
    local range found
    ip link show "$HOST_INTERFACE" >/dev/null 2>&1 &&
        problem "there is an interface $HOST_INTERFACE already" "ip link del $HOST_INTERFACE, or choose another PENIN_CLUSTER (0 to 9)"
    for range in "${NODE_RANGES[@]}"; do
        found=$({ ip route show root "$range"; ip route show match "$range"; } |
            grep -v -e '^default' -e "^unreachable.* metric $GUARD_METRIC" | sort -u || true)
        [ -z "$found" ] || problem "the range $range is in use: $found" "choose another PENIN_CLUSTER (0 to 9), or take that route away"
    done
}

check_kind() {
    docker_engine_answers || problem "no Docker engine answers ('docker info' fails)" "start it, or run as root for a node without Docker"
}

check_loopback() {
    ip link show lo 2>/dev/null | grep -q -w UP || problem "the loopback interface is down" "ip link set lo up"
}

report() {
    if ((${#PACKAGES[@]})); then
        local packages
        packages=$(printf '%s\n' "${PACKAGES[@]}" | sort -u | paste -sd ' ')
        problem "Debian packages are missing: $packages" "apt-get install --no-install-recommends $packages   (make setup does it)"
    fi
    if ((${#PROBLEMS[@]})); then
        say "preflight for $1: ${#PROBLEMS[@]} problem(s); nothing was started" >&2
        printf '   - %s\n' "${PROBLEMS[@]}" >&2
        exit 1
    fi
    say "preflight for $1: nothing missing, nothing in the way"
}

main() {
    local only_packages=
    [ "${1-}" != --packages ] || { only_packages=1; shift; }
    local mode=${1:-$(cluster_mode)}
    check_machine
    check_building "$mode"
    case $mode in
        node)
            check_memory 3072
            # What follows uses the tools that the packages bring.
            if check_debian && ((${#PACKAGES[@]} == 0)); then
                check_kernel
                check_cgroups
                check_container_runtime
                cluster_is_up || check_addresses
            fi ;;
        kind)
            check_memory 4096
            check_kind ;;
        control-plane)
            check_memory 1024
            check_loopback ;;
        faults)
            need_command strace strace ;;
    esac
    if [ -n "$only_packages" ]; then
        ((${#PACKAGES[@]} == 0)) || printf '%s\n' "${PACKAGES[@]}" | sort -u
    else
        report "$mode"
    fi
}

case ${1-} in
    "" | --packages | node | kind | control-plane | faults) main "$@" ;;
    *) fail "no mode is called '$1'" "node, kind or control-plane" ;;
esac
