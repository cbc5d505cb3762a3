# model-operator. `make help` lists what there is; every target is idempotent and installs what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := /usr/bin/python3
JOBS ?= $(shell nproc)
NODE ?= $(if $(filter 0,$(shell id -u)),real,fake)
RIG := $(PYTHON) tests/cluster/rig/rig.py
BIN := build/release/bin
export PATH := $(CURDIR)/.cluster/bin:$(PATH)

.PHONY: help deps rig-deps build images demo demo-check test test-quick nightly unit asan tsan python-check images-test cluster-test cluster-up cluster-down deploy run fmt lint verify bench clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

deps: ## Install the Debian packages that the C++ side needs
	@scripts/install-deps.sh scripts/packages.txt

rig-deps: deps
	@scripts/install-deps.sh tests/cluster/rig/packages.txt

# All at once: two calls of apt at a time get into each other's way.
.PHONY: test-deps rig-build
test-deps:
	@scripts/install-deps.sh scripts/packages.txt $(addsuffix /packages.txt,tests/cluster/rig tests/cluster tests/fuzz images)

rig-build: rig-deps ## Compile the embedded Kubernetes and its gateway, once (minutes)
	@$(RIG) build >/dev/null

build: deps ## Build the programs into build/release/bin
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target model-operator model-server kubectl-model

images: build rig-deps ## Make the container images, without any registry (LOCKED=1: for releases, from locked versions alone)
	@$(PYTHON) images/build.py $(if $(LOCKED),--locked)

.PHONY: images-lock sbom
images-lock: build rig-deps ## Write the versions and hashes that Debian, PyPI and this machine have today to images/lock
	@$(PYTHON) images/build.py --lock

sbom: build rig-deps ## An SBOM (CycloneDX) of each image, by syft, which is built once
	@$(PYTHON) images/build.py --sbom $(if $(LOCKED),--locked)
	@$(PYTHON) images/test_sboms.py

# With KUBECONFIG it runs on that cluster, which needs no node of ours (demo/README.md).
OWN_CLUSTER := $(filter-out $(CURDIR)/.cluster/kubeconfig .cluster/kubeconfig,$(KUBECONFIG))
demo: demo-check build ## The whole loop: serve, roll out, roll back, see drift, retrain; on an embedded cluster, or on that of KUBECONFIG
	@scripts/install-deps.sh $(if $(OWN_CLUSTER),demo,tests/cluster/rig)/packages.txt
	@$(PYTHON) demo/demo.py

demo-check:
	@$(PYTHON) demo/demo.py --check

# One after the other, cheapest first, each with the time that it took (docs/testing.md). With BESIDE=1 what the sanitizers need runs beside the clusters.
SUITES := $(PYTHON) scripts/suites.py
SANITIZED := asan tsan fuzz-short
test: test-deps ## Every test: checks, unit and simulation (ASan+UBSan, TSan), fuzzing, servers, the real cluster, faults
	@$(SUITES) test verify build explore-short rig-build images-test $(if $(BESIDE),,$(SANITIZED)) cluster-test chaos-short $(if $(BESIDE),--beside $(SANITIZED))

test-quick: deps ## What needs no cluster and no sanitizer: checks, images, demo, unit and simulation tests. Minutes, for work in progress
	@$(SUITES) test-quick verify python-check unit

nightly: ## What takes hours: the whole fault matrix, long fuzzing, the soak, the whole exploration, and that each check can fail
	@$(SUITES) nightly browser-test explore chaos registry-test image-volume-test catalog-test mlflow-test kueue-test engines-test fuzz soak explore-mutants chaos-mutants

unit: deps ## Unit and simulation tests alone, without sanitizers
	@$(call unit_suites,dev,unit_tests sim_tests model_server_tests,.)

# Random orders of each simulated scenario; the sanitizers need fewer to see all code.
asan: export SIM_SEEDS = 3
asan: deps
	@$(call unit_suites,asan,unit_tests sim_tests model_server_tests,.)

# The simulator has one thread: there is nothing to see in it.
tsan: deps
	@$(call unit_suites,tsan,unit_tests model_server_tests,unit|model_server)

unit_suites = cmake --preset $(1) >/dev/null && cmake --build --preset $(1) -j $(JOBS) --target $(2) && \
	ctest --test-dir build/$(1) --output-on-failure -j $(JOBS) -R '$(3)'

python-check:
	@$(PYTHON) images/test_build.py
	@$(PYTHON) demo/test_cluster.py

images-test: build python-check
	@scripts/install-deps.sh images/packages.txt
	@$(PYTHON) images/test_servers.py

.PHONY: fuzz fuzz-short fuzz-build
fuzz: export FUZZ_SECONDS ?= 600
fuzz: fuzz-build ## Fuzz all that reads from outside, and the decisions on it: FUZZ_SECONDS (600) for each target
	@$(PYTHON) tests/fuzz/run.py --seconds $(FUZZ_SECONDS) --jobs $(JOBS)

fuzz-short: export FUZZ_SECONDS ?= 10
fuzz-short: fuzz-build
	@$(PYTHON) tests/fuzz/run.py --seconds $(FUZZ_SECONDS) --jobs $(JOBS) --seed 1

fuzz-build: deps
	@scripts/install-deps.sh tests/fuzz/packages.txt
	@cmake --preset fuzz >/dev/null
	@cmake --build --preset fuzz -j $(JOBS)

.PHONY: soak
soak: export SOAK_MINUTES ?= 60
soak: build rig-deps ## 200 Models in random use on simulated nodes, with faults, for SOAK_MINUTES (60): the invariants hold and nothing leaks
	@$(PYTHON) tests/soak/soak.py --minutes $(SOAK_MINUTES)

.PHONY: browser-test
browser-test: build rig-deps ## The report in a real browser: every page, phone and print, dark and light, keyboard alone, accessible (IMAGES=docs/images: also the pictures in the documents)
	@scripts/install-deps.sh tests/browser/packages.txt
	@$(PYTHON) tests/browser/run.py $(if $(IMAGES),--images $(IMAGES))

cluster-test: build rig-deps
	@$(PYTHON) tests/cluster/run.py

cluster-up: rig-deps ## Start a real Kubernetes on this machine (NODE=real runs containers, NODE=fake has simulated nodes)
	@$(RIG) up --node $(NODE)

cluster-down: ## Stop it and leave nothing behind
	@$(RIG) down
	@for dir in .cluster-test .cluster-browser .cluster-chaos .cluster-chaos-stale .cluster-soak .cluster-image-volumes; do if [ -d $$dir ]; then $(RIG) down --dir $$dir; fi; done

deploy: ## Install CRDs and operator into the cluster that KUBECONFIG names
	kubectl apply --server-side -k crds
	kubectl wait --for=condition=Established crd -l app.kubernetes.io/part-of=model-operator --timeout=60s
	kubectl apply --server-side -k manifests

run: build ## Run the operator on this machine, with your rights, against KUBECONFIG (default: the embedded cluster)
	@kubectl --kubeconfig "$${KUBECONFIG:-.cluster/kubeconfig}" apply --server-side -k crds
	$(BIN)/model-operator run --unconfined --kubeconfig "$${KUBECONFIG:-.cluster/kubeconfig}" --prometheus-url "$${PROMETHEUS_URL:-$$(cat .cluster/prometheus.url 2>/dev/null)}"

fmt: deps ## Format the C++ sources
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

lint: build ## clang-tidy over what the compiler sees
	@git ls-files 'operator/*.cpp' 'reconcilers/*.cpp' 'plugin/*.cpp' | xargs -P $(JOBS) -n 4 clang-tidy -p build/release --quiet

verify: deps ## Checks that need no build: rooms, gate sets' CRDs, API reference, dashboards, what people copy from documents, lines that tests break on purpose
	@$(PYTHON) scripts/verify-includes.py
	@$(PYTHON) scripts/verify-kinds.py
	@$(PYTHON) scripts/crd-gatesets.py --check
	@$(PYTHON) scripts/crd-docs.py --check
	@$(PYTHON) scripts/check-docs.py
	@$(PYTHON) scripts/observability.py --check
	@$(PYTHON) tests/chaos/mutants.py --check
	@$(PYTHON) tests/explore/mutants.py --check

.PHONY: registry-test
registry-test: build rig-deps ## The fetching program against a real OCI registry, which is built once (minutes)
	@$(PYTHON) tests/cluster/registry.py
	@$(PYTHON) -m pytest -q -p no:cacheprovider tests/cluster/test_registry.py

.PHONY: image-volume-test
image-volume-test: export MODELOPS_TEST_RIG = .cluster-image-volumes
image-volume-test: export MODELOPS_TEST_RIG_FLAGS = --image-volumes
image-volume-test: build rig-deps ## Artifacts that the kubelet mounts, from a real registry, by containerd 2; both are built once (minutes)
	@scripts/install-deps.sh tests/cluster/packages-image-volumes.txt
	@$(PYTHON) tests/cluster/registry.py
	@$(PYTHON) tests/cluster/run.py tests/cluster/test_image_volumes.py

.PHONY: catalog-test
catalog-test: rig-deps ## Servers of the catalog of runtimes that need no GPU, as their manifests run them; they are installed and built once (minutes, 1.2 GB)
	@$(PYTHON) tests/cluster/catalog.py
	@$(PYTHON) -m pytest -q -p no:cacheprovider tests/cluster/test_catalog.py

.PHONY: mlflow-test
mlflow-test: build rig-deps ## Importing from a real MLflow server on a real cluster; it is installed once (minutes, 0.9 GB)
	@$(PYTHON) tests/cluster/mlflow_server.py
	@$(PYTHON) tests/cluster/run.py tests/cluster/test_mlflow.py

.PHONY: kueue-test
kueue-test: build rig-deps ## Runs in the queues of the real Kueue on a real cluster; it is built once (10 minutes)
	@$(PYTHON) tests/cluster/kueue.py
	@$(PYTHON) tests/cluster/run.py tests/cluster/test_kueue.py

.PHONY: engines-test
engines-test: build rig-deps ## Training by the kinds of real engines: JobSet with its controller, the published CRDs of the others; fetched and built once (5 minutes)
	@$(PYTHON) tests/cluster/engines.py
	@$(PYTHON) tests/cluster/run.py tests/cluster/test_engines.py

.PHONY: chaos chaos-short chaos-mutants
chaos: build rig-deps ## The fault matrix: crashes, lost answers, lying watches, at every point of every scenario
	@$(PYTHON) tests/chaos/run.py

chaos-short: build rig-deps ## Every row of the fault matrix at least once
	@$(PYTHON) tests/chaos/run.py --short --leave

chaos-mutants: deps rig-deps ## Each row can fail: lines broken on purpose, and the rows that turn red
	@$(PYTHON) tests/chaos/mutants.py

.PHONY: explore explore-short explore-mutants explore-build
explore-build: deps
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target explore

explore: explore-build ## Every state of small worlds: a million and more
	@$(BIN)/explore

explore-short: explore-build ## The first 10,000 states of each
	@$(BIN)/explore --most 10000

explore-mutants: deps ## Shows that exploring finds what is broken on purpose
	@$(PYTHON) tests/explore/mutants.py

.PHONY: bench-memory bench-plan bench-audit
bench-plan: deps ## What one plan costs, and what the largest templates cost others
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target plan_bench
	@$(BIN)/plan_bench

bench-audit: deps ## What it costs to verify an audit trail of 100,000 records
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target audit_bench
	@$(BIN)/audit_bench

bench-memory: deps ## Bytes that the operator keeps of each kind of object
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j $(JOBS) --target memory_bench
	@$(BIN)/memory_bench

.PHONY: bench-readers
bench-readers: build ## The report under load: 50 readers at once on 10,000 Models
	@$(PYTHON) tests/bench/readers.py

bench: build rig-deps bench-memory bench-plan bench-audit bench-readers ## 1,000 Models on simulated nodes: writes, memory, time
	@$(PYTHON) tests/bench/scale.py

.PHONY: bench-fleet
bench-fleet: build rig-deps ## A runtime's patch over 1,000 Models, and another release of the operator over 100 of all strategies
	@$(PYTHON) tests/bench/fleet.py

.PHONY: bench-training
bench-training: export MODELS ?= 10000
bench-training: build rig-deps ## MODELS (10000) with three monitors and an hourly schedule each: processor, memory, requests to Prometheus, lateness
	@$(PYTHON) tests/bench/training.py --models $(MODELS)

.PHONY: bench-compare
bench-compare: build rig-deps ## Ours beside a controller-runtime operator, in turns; writes docs/performance.md
	@$(PYTHON) tests/bench/compare.py --write

clean: cluster-down ## Remove what was built (not the cached cluster binaries)
	@rm -rf build .cluster .cluster-test .cluster-browser .cluster-chaos .cluster-chaos-stale .cluster-soak .cluster-image-volumes
