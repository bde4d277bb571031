# shellcheck shell=bash
#
# Where each binary is cached, and how it is built from Go modules alone.

# source_digest PATH...: the first twelve hex digits over the files' names and contents
source_digest() {
    (cd -- "$CLUSTER_DIR" && find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) |
        sha256sum | cut -c1-12
}

# version_of NAME: what a binary is cached under
version_of() {
    case $1 in
        kube-apiserver | kube-controller-manager | kube-scheduler | kubelet | kube-proxy | kubectl)
            echo "$KUBERNETES_VERSION" ;;
        pause) echo "$PAUSE_VERSION" ;;
        etcd) echo "$ETCD_VERSION" ;;
        coredns) echo "$COREDNS_VERSION-$(source_digest go/addons/go.mod go/addons/cmd/coredns)" ;;
        volume-provisioner) source_digest go/addons/go.mod go/addons/cmd/volume-provisioner ;;
        probe) source_digest go/probe ;;
        envoy-gateway) echo "$ENVOY_GATEWAY_VERSION" ;;
        prometheus) echo "$PROMETHEUS_VERSION" ;;
        helm) echo "$HELM_VERSION" ;;
        kind) echo "$KIND_VERSION" ;;
        *) fail "no binary is called '$1'" "see version_of in lib/binaries.sh" ;;
    esac
}

binary() { echo "$BINARIES/$1-$(version_of "$1")/$1"; }

# binaries_for MODE: what a mode needs
binaries_for() {
    local control_plane="etcd kube-apiserver kube-controller-manager kubectl"
    local gateway="envoy-gateway prometheus helm probe"
    case $1 in
        control-plane) echo "$control_plane" ;;
        node) echo "$control_plane kube-scheduler kubelet kube-proxy pause coredns volume-provisioner $gateway" ;;
        kind) echo "kind kubectl $gateway" ;;
    esac
}

# missing_binaries MODE
missing_binaries() {
    local name
    for name in $(binaries_for "$1"); do
        [ -x "$(binary "$name")" ] || echo "$name"
    done
}

# build_binary NAME OUTPUT: called with the temporary Go caches of build.sh
build_binary() {
    local version=${KUBERNETES_VERSION#v} component=k8s.io/component-base/version
    local stripped='-s -w'
    case $1 in
        kube-* | kubelet | kubectl)
            local minor=${version#*.}
            stripped+=" -X $component.gitVersion=$KUBERNETES_VERSION -X $component.gitMajor=${version%%.*}"
            stripped+=" -X $component.gitMinor=${minor%%.*} -X k8s.io/client-go/pkg/version.gitVersion=$KUBERNETES_VERSION"
            go_build kubernetes "$2" "$stripped" "k8s.io/kubernetes/cmd/$1" ;;
        pause)
            # A C program of forty lines: every pod has one, so its size counts.
            local sources
            sources=$(module_folder k8s.io/kubernetes "$KUBERNETES_VERSION")
            gcc -Os -static -s -DVERSION="v$PAUSE_VERSION" -o "$2" "$sources/build/pause/linux/pause.c" ;;
        etcd) go_build etcd "$2" "$stripped" go.etcd.io/etcd/server/v3 ;;
        coredns | volume-provisioner) go_build addons "$2" "$stripped" "./cmd/$1" ;;
        probe) go_build probe "$2" "$stripped" . ;;
        envoy-gateway)
            stripped+=" -X github.com/envoyproxy/gateway/internal/cmd/version.envoyGatewayVersion=$ENVOY_GATEWAY_VERSION"
            go_install "$2" "$stripped" "" github.com/envoyproxy/gateway/cmd/envoy-gateway@"$ENVOY_GATEWAY_VERSION" ;;
        prometheus)
            go_install "$2" "$stripped" remove_all_sd,enable_kubernetes_sd,netgo \
                github.com/prometheus/prometheus/cmd/prometheus@"$PROMETHEUS_VERSION" ;;
        helm) go_install "$2" "$stripped" "" helm.sh/helm/v4/cmd/helm@"$HELM_VERSION" ;;
        kind) go_install "$2" "$stripped" "" sigs.k8s.io/kind@"$KIND_VERSION" ;;
    esac
}

# go_build MODULE OUTPUT LDFLAGS PACKAGE: a package of one of the modules in go/
go_build() {
    (cd -- "$CLUSTER_DIR/go/$1" && go build -mod=readonly -trimpath -ldflags "$3" -o "$2" "$4")
}

# go_install OUTPUT LDFLAGS TAGS PACKAGE@VERSION: a command with a go.mod that needs no help
go_install() {
    local folder
    folder=$(mktemp -d -- "$GOPATH/install.XXXXXX")
    GOBIN=$folder go install -trimpath -ldflags "$2" -tags "$3" "$4"
    mv -- "$folder"/* "$1"
}

# module_folder MODULE VERSION: downloads the module, prints where its files are
module_folder() { (cd / && go mod download -json "$1@$2") | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p'; }
