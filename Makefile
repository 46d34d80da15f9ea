# Targets are short: the logic lives in the CLI (services/cli) and in the tests.
.DEFAULT_GOAL := help
# What ships is built for Linux; of dependencies for other systems nothing is in it.
SBOM_PLATFORM ?= x86_64-unknown-linux-gnu
.PHONY: api-check mutations sbom help build dev demo up down status test lint advisories fmt sim chaos bench test-kube
# Shared with `make test`: libraries fully optimised, our crates lightly, assertions on. PROFILE=release for speed.
PROFILE ?= dev
# `make dev` is a newcomer's first command: what compiles soonest. DEV_PROFILE=release for speed.
DEV_PROFILE ?= quick
# Not part of the toolchain: built once, in this version.
DENY_VERSION := 0.20.2
DENY := .folio/tools/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
FOLIO := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/folio

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## build every service and the CLI (PROFILE=release for speed)
	cargo build --workspace --bins --locked --profile $(PROFILE)

dev: ## all of Folio in one process, without servers, until Ctrl-C (README's first command; ARGS='--data-dir my-folio')
	cargo build --package cli --bin folio --no-default-features --locked --profile $(DEV_PROFILE)
	target/$(if $(filter dev,$(DEV_PROFILE)),debug,$(DEV_PROFILE))/folio dev $(ARGS)

demo: build ## the real servers: bring everything up, import 53,940 diamonds, and show what one can ask
	$(FOLIO) demo

up: build ## start Kafka, Cassandra, Elasticsearch, the registry and every service as local processes
	$(FOLIO) up

down: build ## stop all that `make up` or `make demo` started, and leave nothing behind
	$(FOLIO) down

status: build ## what runs, where, and whether it is ready
	$(FOLIO) status

test: ## every test, the promises on the real servers included (README's second command; what CI runs)
	cargo fmt --all --check
	cargo build --workspace --bins --tests --locked
	target/debug/with-servers cargo test --workspace --locked --no-fail-fast

api-check: ## both doors held to their OpenAPI documents with schemathesis (PYTHON=venv/bin/python SEED=; CONTRIBUTING.md)
	cargo build --workspace --bins --locked
	target/debug/api-check

sim: ## run SEEDS simulated histories of the write side, from seed FROM on (one with its trace: SEED=7)
	cargo run --release --locked -p folio-sim -- $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100000) --from $(or $(FROM),0))

mutations: ## seed each defect of tests/mutations into a copy and show which test catches it (some of them: ONLY='ledger-*')
	cargo run --locked -p folio-mutations -- $(if $(ONLY),$(or $(wildcard tests/mutations/$(ONLY).patch),$(error no patch is called $(ONLY))))

chaos: build ## faults on three real brokers and every service while clients write, then all is checked (SEED= MINUTES=5)
	target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/folio-chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

test-kube: ## the chart's life on a real cluster, with a client in it that counts (KUBE_TOOL= or KUBECONFIG=; CONTRIBUTING.md)
	@test -n "$(KUBE_TOOL)$(KUBECONFIG)" || { echo 'there is no cluster: give KUBE_TOOL=<program that makes one>, or KUBECONFIG=<file> KUBE_HOST=<address> KUBE_IMAGE=<image> KUBE_LATER_IMAGE=<image> (CONTRIBUTING.md, "The chart on a cluster")'; exit 2; }
	$(MAKE) build
	target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/folio-kube run

bench: ## what Folio costs over bare librdkafka and bare writes, on servers of its own; ONLY=answer,rebuild PAIRS=5 (docs/benchmarks.md)
	cargo build --release --workspace --bin command-service --bin projector --bin query-gateway --bin folio-bench $(if $(if $(ONLY),$(findstring one-process,$(ONLY)),all),--bin folio) --locked
	target/release/folio-bench $(if $(ONLY),--only $(ONLY)) $(if $(PAIRS),--pairs $(PAIRS))

lint: $(DENY) ## formatting, clippy, docs, and what dependencies may be (deny.toml); all warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	$(DENY) --locked check bans licenses sources

sbom: ## what the image is built of, as CycloneDX: target/folio.cdx.json (needs jq, and no network)
	@mkdir -p target
	cargo metadata --locked --offline --format-version 1 --filter-platform $(SBOM_PLATFORM) | jq --sort-keys --from-file deploy/sbom.jq > target/folio.cdx.json

advisories: $(DENY) ## are there known weaknesses in dependencies? Asks the RustSec database on GitHub, so no other target needs it
	$(DENY) --locked check advisories

$(DENY):
	cargo install --locked cargo-deny --version $(DENY_VERSION) --root $(abspath $(@D)/..)

fmt: ## format everything
	cargo fmt --all
