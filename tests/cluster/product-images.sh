#!/bin/bash
# Builds our own programs as static binaries and packs each into an image of its own:
#   product-images.sh [--load|--load-if-up] [penin-operator] [model-server]      (default: both)
# Writes target/images/<name>.tar and <name>.ref, the reference to use. Its tag is the digest of the
# contents, so that a changed image is never mistaken for the one that a node already has.
# --load puts them into the running cluster, --load-if-up only if one runs.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"

TARGET=x86_64-unknown-linux-gnu
PROFILE=image
OUTPUT=${CARGO_TARGET_DIR:-$REPOSITORY/target}/$TARGET/$PROFILE
MODELS=$REPOSITORY/tests/workload/models

packages_of() {
    case $1 in
        penin-operator) echo penin-operator peninctl ;;
        model-server) echo penin-workload ;;
        *) fail "no image is called '$1'" "penin-operator or model-server" ;;
    esac
}

# Statically linked glibc resolves names of a cluster by itself: nothing else is needed in the image.
# The explicit target keeps the flag away from build scripts and procedural macros, which must be
# dynamic.
build_programs() {
    local options=() name
    for name; do options+=(--package "$name"); done
    cd -- "$REPOSITORY"
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static" \
        cargo build --locked --profile "$PROFILE" --target "$TARGET" --bins "${options[@]}"
}

# pack NAME ENTRYPOINT FILE:PATH...
pack() {
    local name=$1 entrypoint=$2 files=() sources=() file tag
    shift 2
    for file; do
        [ -r "${file%%:*}" ] || fail "there is no ${file%%:*}" "the package must have a binary of that name"
        files+=(--file "$file")
        sources+=("${file%%:*}")
    done
    tag=$(cat -- "$CLUSTER_DIR/mkimage" "${sources[@]}" | sha256sum | cut -c1-12)
    "$CLUSTER_DIR/mkimage" --tag "$REGISTRY/$name:$tag" --tag "$REGISTRY/$name:dev" \
        --output "$PRODUCT_IMAGES/$name.tar" --label org.opencontainers.image.licenses=Apache-2.0 \
        "${files[@]}" -- "$entrypoint" >/dev/null
    echo "$REGISTRY/$name:$tag" >"$PRODUCT_IMAGES/$name.ref"
    say "image $REGISTRY/$name:$tag, $(du -h --apparent-size -- "$PRODUCT_IMAGES/$name.tar" | cut -f1)"
}

pack_image() {
    local weights=() file
    case $1 in
        penin-operator)
            pack "$1" /penin-operator "$OUTPUT/penin-operator:/penin-operator" "$OUTPUT/peninctl:/peninctl" \
                /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt ;;
        model-server)
            for file in "$MODELS"/*.json; do weights+=("$file:/models/$(basename -- "$file")"); done
            pack "$1" /model-server "$OUTPUT/model-server:/model-server" "$OUTPUT/player:/player" "${weights[@]}" ;;
    esac
}

load_all() {
    local archives=() name
    for name; do archives+=("$PRODUCT_IMAGES/$name.tar"); done
    "$CLUSTER_DIR/load-images.sh" "${archives[@]}"
}

main() {
    local load="" names=() packages=() name
    case ${1-} in
        --load) load=1; shift ;;
        --load-if-up) ! cluster_is_up || load=1; shift ;;
    esac
    names=("$@")
    (($#)) || names=(penin-operator model-server)
    # shellcheck disable=SC2207  # names of packages are words
    for name in "${names[@]}"; do packages+=($(packages_of "$name")); done
    mkdir -p -- "$PRODUCT_IMAGES"
    run_step "building ${packages[*]} (static)" "$PRODUCT_IMAGES/build.log" build_programs "${packages[@]}"
    for name in "${names[@]}"; do pack_image "$name"; done
    [ -z "$load" ] || load_all "${names[@]}"
}
main "$@"
