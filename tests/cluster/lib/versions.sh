# shellcheck shell=bash disable=SC2034  # read by the scripts that source this file
#
# Every third-party program the test cluster is made of. A changed version changes the folder its
# binary is cached in, so nothing stale is ever used. The versions of modules built through go/ are
# stated there as well; build.sh refuses to build when the two disagree.

KUBERNETES_VERSION=v1.36.3
ETCD_VERSION=v3.6.16
COREDNS_VERSION=v1.14.2
# What the pause program of the Kubernetes release calls itself.
PAUSE_VERSION=3.10.2
KIND_VERSION=v0.32.0
HELM_VERSION=v4.2.4
ENVOY_GATEWAY_VERSION=v1.9.0
GATEWAY_API_VERSION=v1.6.3
ENVOY_VERSION=1.40.0
# Prometheus numbers its Go module v0.316.0 for release 3.16.0.
PROMETHEUS_VERSION=v0.316.0
