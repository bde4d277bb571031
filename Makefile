# PENIN-Ω. `make` alone lists what there is. The work is done by scripts in tests/, which can be called
# directly; their settings are in tests/cluster/lib/settings.sh.

SHELL := /bin/bash
CLUSTER := tests/cluster

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

##@ Demonstration

.PHONY: demo
demo: setup ## A cluster, the operator, a served model, traffic, three challengers: see what happens
	@tests/demo/run.sh

.PHONY: demo-down
demo-down: cluster-down ## Remove all of it, routes included

##@ Tests

.PHONY: test
test: setup setup-control-plane setup-faults ## Everything (15 minutes more on the first run, which builds Kubernetes)
	@tests/run.sh

.PHONY: test-unit
test-unit: ## Tests that need nothing but Rust
	@tests/run.sh unit

.PHONY: test-faults
test-faults: setup-faults ## The ledger under failing system calls and kills (strace)
	@tests/run.sh faults

.PHONY: test-api
test-api: setup-control-plane ## Tests on a real API server, without root
	@tests/run.sh api

.PHONY: test-e2e
test-e2e: setup ## Tests on real pods, a gateway and Prometheus
	@tests/run.sh e2e

.PHONY: test-crosscheck
test-crosscheck: ## The mathematics against independent implementations (Python)
	@tests/run.sh crosscheck

.PHONY: test-strangers
test-strangers: ## The ledger's files read by tools that are not ours
	@tests/run.sh strangers

.PHONY: lint
lint: ## Formatting, clippy (pedantic), documentation; warnings are errors
	@tests/run.sh lint

.PHONY: audit
audit: ## Advisories, licences and sources of dependencies (cargo-deny; needs the network)
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is not installed: cargo install --locked cargo-deny"; exit 1; }
	cargo deny --locked check

.PHONY: bench
bench: ## Benchmarks of the engine and the ledger
	cargo bench --locked --workspace --exclude penin-tests

.PHONY: bench-lives
bench-lives: cluster-up ## Figures of twenty whole lives on real pods (half an hour)
	@$(CLUSTER)/product-images.sh --load
	cargo bench --locked --package penin-tests --bench lives

##@ Cluster

.PHONY: setup
setup: ## Install the Debian packages that are missing (as root), or say which
	@$(CLUSTER)/setup.sh

.PHONY: setup-control-plane
setup-control-plane:
	@$(CLUSTER)/setup.sh control-plane

.PHONY: setup-faults
setup-faults:
	@$(CLUSTER)/setup.sh faults

.PHONY: preflight
preflight: ## What is missing for a cluster on this machine, and what is in the way
	@$(CLUSTER)/preflight.sh

.PHONY: cluster-up
cluster-up: setup ## Kubernetes with pods, Envoy Gateway and Prometheus
	@$(CLUSTER)/up.sh

.PHONY: cluster-check
cluster-check: ## Prove that the running cluster works
	@$(CLUSTER)/verify.sh

.PHONY: cluster-down
cluster-down: ## Remove the cluster: processes, mounts, links, routes, files
	@$(CLUSTER)/down.sh

.PHONY: control-plane-up
control-plane-up: setup-control-plane ## An API server without nodes, on loopback
	@$(CLUSTER)/control-plane.sh up

.PHONY: control-plane-down
control-plane-down: ## Remove every one of them
	@$(CLUSTER)/control-plane.sh down-all

.PHONY: images
images: ## Build our images; put them into the cluster if it runs
	@$(CLUSTER)/product-images.sh --load-if-up

##@ Cleaning

.PHONY: clean
clean: cluster-down control-plane-down ## Remove clusters, the cache folder (binaries, images) and target/
	@$(CLUSTER)/clean.sh
	cargo clean

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
