# shellcheck shell=bash
#
# Envoy Gateway ships its chart and CRDs inside its Go module; they are rendered once, when the
# module is at hand, so that bringing a cluster up needs neither network nor Helm.

GATEWAY_MANIFESTS=$MANIFESTS/gateway-$ENVOY_GATEWAY_VERSION-$GATEWAY_API_VERSION
ENVOY_GATEWAY_IMAGE=$REGISTRY/envoy-gateway:$ENVOY_GATEWAY_VERSION
ENVOY_IMAGE=$REGISTRY/envoy:$ENVOY_VERSION

gateway_manifests_present() { [ -s "$GATEWAY_MANIFESTS/install.yaml" ]; }

render_gateway_manifests() {
    # shellcheck disable=SC2153  # build.sh sets WORK
    local gateway api work=$WORK/gateway file helm
    gateway=$(module_folder github.com/envoyproxy/gateway "$ENVOY_GATEWAY_VERSION")
    api=$(module_folder sigs.k8s.io/gateway-api "$GATEWAY_API_VERSION")
    helm=$(binary helm)
    mkdir -p -- "$work/crds"
    cp -- "$api"/config/crd/standard/*.yaml "$work/crds/"
    # Each CRD is wrapped in a template condition, and is otherwise plain YAML.
    for file in "$gateway"/charts/gateway-crds-helm/templates/generated/*.yaml; do
        grep -v '{{-' "$file" >"$work/crds/$(basename -- "$file")"
    done
    cp -r -- "$gateway/charts/gateway-helm" "$work/chart"
    chmod -R u+w -- "$work/chart"
    # A release replaces these two placeholders and publishes the result as values.yaml.
    # shellcheck disable=SC2016  # the placeholders are literal
    sed -e 's#${GatewayImage}#'"$ENVOY_GATEWAY_IMAGE"'#' -e 's#${GatewayImagePullPolicy}#IfNotPresent#' \
        "$work/chart/values.tmpl.yaml" >"$work/chart/values.yaml"
    HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm \
        "$helm" template envoy-gateway "$work/chart" --namespace envoy-gateway-system \
        --set crds.enabled=false --set topologyInjector.enabled=false \
        --set global.images.envoyProxy.image="$ENVOY_IMAGE" >"$work/install.yaml"
    rm -rf -- "$GATEWAY_MANIFESTS"
    mkdir -p -- "$GATEWAY_MANIFESTS"
    cp -r -- "$work/crds" "$GATEWAY_MANIFESTS/"
    # Last: its presence says that the folder is complete.
    cp -- "$work/install.yaml" "$GATEWAY_MANIFESTS/"
}
