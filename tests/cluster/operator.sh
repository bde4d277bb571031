#!/bin/bash
# Installs the operator into the running cluster as a user would, with its Helm chart and the images that
# product-images.sh has loaded:
#   operator.sh install NAMESPACE [HELM-ARGUMENTS...]      also upgrades
#   operator.sh uninstall NAMESPACE
#   operator.sh crds                                       the definitions alone, for operators of one namespace
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/all.sh"
RELEASE=penin-operator
CHART=$REPOSITORY/charts/penin-operator

# Helm keeps nothing outside the cluster's state folder.
use_helm() {
    export HELM_CACHE_HOME=$STATE/helm/cache HELM_CONFIG_HOME=$STATE/helm/config HELM_DATA_HOME=$STATE/helm/data
    HELM=$(binary helm)
}

install() {
    local namespace=$1 reference
    shift
    [ -r "$PRODUCT_IMAGES/penin-operator.ref" ] || fail "there is no image of the operator" "make images"
    reference=$(cat "$PRODUCT_IMAGES/penin-operator.ref")
    STEP_HINT="kubectl logs -n $namespace $RELEASE-0" run_step "installing the chart into $namespace" \
        "$LOGS/helm-$namespace.log" "$HELM" upgrade --install "$RELEASE" "$CHART" \
        --namespace "$namespace" --create-namespace --wait --timeout 180s \
        --set image.repository="${reference%:*}" --set image.tag="${reference##*:}" --set ledger.size=1Gi "$@"
}

cluster_is_up || fail "cluster $CLUSTER_NAME is not up" "make cluster-up"
use_helm
case ${1-} in
    install) shift; install "$@" ;;
    uninstall)
        run_step "uninstalling the chart from $2" "$LOGS/helm-$2.log" \
            "$HELM" uninstall "$RELEASE" --namespace "$2" --wait --timeout 120s ;;
    crds) kubectl apply --server-side --force-conflicts -f "$REPOSITORY/crds" >"$LOGS/apply-penin-crds.log" ;;
    *) fail "'${1-}' is not a command" "install NAMESPACE, uninstall NAMESPACE or crds" ;;
esac
