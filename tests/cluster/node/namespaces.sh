# shellcheck shell=bash
#
# The node: one process tree in its own mount, network and PID namespaces. Its init is the pause
# program, which reaps. Killing it makes the kernel end every process of the node and drop its
# mounts and links; iptables rules and kernel settings of the machine are never touched.

in_node() { nsenter --target "$(process_of init)" --mount --net --pid -- "$@"; }

# start_in_node NAME COMMAND...: the recorded process is nsenter, which ends with the command
start_in_node() {
    local name=$1 init
    shift
    init=$(process_of init) || fail "the node's first process has ended"
    start_process "$name" nsenter --target "$init" --mount --net --pid -- "$@"
}

# Whatever else happens, a packet for one of our addresses must not leave by the default route.
guard_routes() {
    local range
    for range in "${NODE_RANGES[@]}"; do ip route replace unreachable "$range" metric "$GUARD_METRIC"; done
}

remove_guard_routes() {
    local range
    for range in "${NODE_RANGES[@]}"; do ip route del unreachable "$range" metric "$GUARD_METRIC" 2>/dev/null || true; done
}

start_node_init() {
    local outer init=
    mkdir -p -- "$RUN" "$LOGS"
    setsid unshare --mount --propagation private --net --pid --fork --kill-child=SIGKILL --mount-proc \
        "$(binary pause)" </dev/null >>"$LOGS/init.log" 2>&1 9>&- &
    outer=$!
    for _ in {1..100}; do
        init=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null || true)
        init=${init%% *}
        [ -z "$init" ] || [ "$(cat "/proc/$init/comm" 2>/dev/null)" != pause ] || break
        init=
        sleep 0.02
    done
    [ -n "$init" ] || { show_tail "$LOGS/init.log"; fail "the node's namespaces were not made"; }
    record_process init "$init"
}

connect_node() {
    local range
    ip link add "$HOST_INTERFACE" type veth peer name eth0 netns "$(process_of init)"
    ip address add "$HOST_ADDRESS/24" dev "$HOST_INTERFACE"
    ip link set "$HOST_INTERFACE" up
    in_node ip link set lo up
    in_node ip address add "$NODE_ADDRESS/24" dev eth0
    in_node ip link set eth0 up
    # A process on the node that connects to a Service needs a route before the address is
    # translated. A bridge without ports is the dead end for what is not translated.
    in_node ip link add services type bridge
    in_node ip link set services up
    in_node ip route add "$SERVICE_RANGE" dev services src "$NODE_ADDRESS"
    for range in "$POD_RANGE" "$SERVICE_RANGE"; do
        ip route replace "$range" via "$NODE_ADDRESS" dev "$HOST_INTERFACE" metric 10
    done
}

# Folders of the machine over which the node mounts its own, and that may not exist here. Those
# made are noted, to be removed again with the last cluster: removing one takes away what another
# cluster has mounted there.
MOUNT_POINTS=(/var/lib/kubelet /var/lib/cni /var/log)
MADE_MOUNT_POINTS=$CACHE/clusters/mount-points

make_mount_points() {
    local folder
    for folder in "${MOUNT_POINTS[@]}"; do
        [ -d "$folder" ] || { mkdir -- "$folder"; echo "$folder" >>"$MADE_MOUNT_POINTS"; }
    done
}

# Called when this cluster's state folder is gone.
remove_mount_points() {
    local folder
    [ -f "$MADE_MOUNT_POINTS" ] || return 0
    [ -z "$(find "$CACHE/clusters" -mindepth 1 -maxdepth 1 -type d)" ] || return 0
    while read -r folder; do rmdir -- "$folder" 2>/dev/null || true; done <"$MADE_MOUNT_POINTS"
    rm -f -- "$MADE_MOUNT_POINTS"
}

# Runs inside. The machine-wide kernel settings that the kubelet insists on are shown to it as files
# with the wanted values, and stay as they are.
# shellcheck disable=SC2016  # expanded inside
prepare_node_mounts() {
    make_mount_points
    mkdir -p -- "$DATA"/{etcd,containerd,kubelet,cni,log,volumes,volume-plugins}
    in_node env DATA="$DATA" NODE_ADDRESS="$NODE_ADDRESS" NODE_NAME="$NODE_NAME" DNS_ADDRESS="$DNS_ADDRESS" \
        bash -euc '
        mount -t tmpfs -o mode=755 tmpfs /run
        mkdir -p /run/netns /run/lock /run/sysctl
        mount --bind "$DATA/kubelet" /var/lib/kubelet
        mount --bind "$DATA/cni" /var/lib/cni
        mount --bind "$DATA/log" /var/log
        # The kubelet propagates volumes into pods.
        mount --make-rshared /
        for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
            shown=/run/sysctl/$(basename "${setting%=*}")
            echo "${setting#*=}" >"$shown"
            mount --bind "$shown" "/proc/sys/${setting%=*}"
        done
        printf "127.0.0.1 localhost\n%s %s\n" "$NODE_ADDRESS" "$NODE_NAME" >/run/hosts
        printf "nameserver %s\nsearch svc.cluster.local cluster.local\n" "$DNS_ADDRESS" >/run/resolv.conf
        : >/run/resolv-empty.conf
        # On many machines these are links into /run, which is new here.
        for name in hosts resolv.conf; do
            file=$(readlink -m "/etc/$name")
            case $file in
                /run/*) mkdir -p "$(dirname "$file")"; [ "$file" = "/run/$name" ] || cp "/run/$name" "$file" ;;
                *) mount --bind "/run/$name" "$file" ;;
            esac
        done
        echo 1 >/proc/sys/net/ipv4/ip_forward
        # Without it Service traffic between two pods on the bridge is not translated.
        echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
        echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
        '
}

# A cgroup of our own in every hierarchy; a new cpuset has no processors until it is given some.
make_cgroups() {
    local hierarchy file
    for hierarchy in /sys/fs/cgroup/*/; do
        [ -e "$hierarchy/cgroup.clone_children" ] || continue
        mkdir -p -- "$hierarchy$CGROUP"
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$hierarchy$file" ] || cat "$hierarchy$file" >"$hierarchy$CGROUP/$file"
        done
    done
}

remove_cgroups() {
    local folder
    for folder in /sys/fs/cgroup/*"$CGROUP"; do
        [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    done
}

# Processes started through in-node.sh live in the node's network namespace, but not in its process
# tree, and would keep the namespace.
stop_guests() {
    local init=$1 namespace process
    namespace=$(readlink "/proc/$init/ns/net") || return 0
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$namespace" ] || continue
        [ "$(readlink "$process/ns/pid" 2>/dev/null)" = "$(readlink "/proc/$init/ns/pid")" ] ||
            kill -KILL "${process#/proc/}" 2>/dev/null || true
    done
}
