# shellcheck shell=bash
#
# The node's daemons and their flags. API server and kubelet get what they would get from kubeadm;
# what differs is explained where it stands.

make_node_pki() {
    local names="DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    names+=",DNS:kubernetes.default.svc.cluster.local,DNS:localhost"
    names+=",IP:127.0.0.1,IP:$API_SERVICE_ADDRESS,IP:$NODE_ADDRESS"
    mkdir -p -- "$PKI"
    (
        umask 077
        cd -- "$PKI" || exit
        make_authority ca kubernetes
        make_authority front-proxy-ca front-proxy-ca
        issue apiserver ca /CN=kube-apiserver serverAuth "$names"
        issue apiserver-kubelet-client ca /CN=kube-apiserver-kubelet-client clientAuth
        issue front-proxy-client front-proxy-ca /CN=front-proxy-client clientAuth
        issue admin ca /O=system:masters/CN=kubernetes-admin clientAuth
        issue kube-controller-manager ca /CN=system:kube-controller-manager clientAuth
        issue kube-scheduler ca /CN=system:kube-scheduler clientAuth
        issue kube-proxy ca /CN=system:kube-proxy clientAuth
        issue kubelet ca "/O=system:nodes/CN=system:node:$NODE_NAME" clientAuth
        issue kubelet-server ca "/O=system:nodes/CN=system:node:$NODE_NAME" serverAuth \
            "DNS:$NODE_NAME,IP:$NODE_ADDRESS,IP:127.0.0.1"
        make_service_account_key
        for name in kube-controller-manager kube-scheduler kube-proxy kubelet; do
            write_kubeconfig "$name.kubeconfig" "https://$NODE_ADDRESS:6443" "$name"
        done
        write_kubeconfig "$KUBECONFIG" "https://$NODE_ADDRESS:6443" admin
    )
}

# The node's etcd forgets everything with the cluster, so it need not wait for the disk.
start_etcd() {
    start_in_node etcd "$(binary etcd)" --name "$NODE_NAME" --data-dir "$DATA/etcd" --unsafe-no-fsync \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster "$NODE_NAME=http://127.0.0.1:2380" --log-level warn
}

# The advertised address becomes the endpoint of the Service "kubernetes".
start_api_server() {
    start_in_node kube-apiserver "$(binary kube-apiserver)" \
        --bind-address=0.0.0.0 --secure-port=6443 --advertise-address="$NODE_ADDRESS" \
        --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range="$SERVICE_RANGE" \
        --allow-privileged=true --profiling=false \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
        --service-account-key-file="$PKI/service-account.pub" \
        --service-account-signing-key-file="$PKI/service-account.key" \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" \
        --kubelet-client-key="$PKI/apiserver-kubelet-client.key" \
        --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP \
        --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
        --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
        --requestheader-username-headers=X-Remote-User \
        --proxy-client-cert-file="$PKI/front-proxy-client.crt" --proxy-client-key-file="$PKI/front-proxy-client.key"
}

start_controllers() {
    local config=$PKI/kube-controller-manager.kubeconfig
    start_in_node kube-controller-manager "$(binary kube-controller-manager)" --kubeconfig="$config" \
        --authentication-kubeconfig="$config" --authorization-kubeconfig="$config" \
        --bind-address=127.0.0.1 --leader-elect=false --profiling=false --use-service-account-credentials=true \
        --allocate-node-cidrs=true --cluster-cidr="$POD_RANGE" --service-cluster-ip-range="$SERVICE_RANGE" \
        --root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/service-account.key" \
        --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
        --requestheader-client-ca-file="$PKI/front-proxy-ca.crt"
    config=$PKI/kube-scheduler.kubeconfig
    start_in_node kube-scheduler "$(binary kube-scheduler)" --kubeconfig="$config" \
        --authentication-kubeconfig="$config" --authorization-kubeconfig="$config" \
        --bind-address=127.0.0.1 --leader-elect=false --profiling=false
}

write_node_config() {
    mkdir -p -- "$CONFIG/cni"
    export DATA CONFIG PKI CONTAINERD_SOCKET CLUSTER_NAME NODE_POD_RANGE NODE_ADDRESS NODE_NAME DNS_ADDRESS POD_RANGE CGROUP
    PAUSE_IMAGE=$(image_reference pause)
    export PAUSE_IMAGE
    local file
    for file in containerd.toml kubelet.yaml kube-proxy.yaml; do
        "$CLUSTER_DIR/render" "$CLUSTER_DIR/node/config/$file" >"$CONFIG/$file"
    done
    "$CLUSTER_DIR/render" "$CLUSTER_DIR/node/config/bridge.conflist" >"$CONFIG/cni/10-bridge.conflist"
}

container_tool() { in_node ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }

start_container_runtime() { start_in_node containerd /usr/bin/containerd --config "$CONFIG/containerd.toml"; }

# import_images ARCHIVE...
import_images() {
    local archive
    for archive; do container_tool images import "$archive" >>"$LOGS/import.log" 2>&1; done
}

start_node_agents() {
    start_in_node kubelet "$(binary kubelet)" --config="$CONFIG/kubelet.yaml" \
        --kubeconfig="$PKI/kubelet.kubeconfig" --hostname-override="$NODE_NAME" --node-ip="$NODE_ADDRESS" --v=2
    # It ends itself when its configuration is written again, changed or not.
    start_in_node kube-proxy "$(binary kube-proxy)" --config="$CONFIG/kube-proxy.yaml"
}
