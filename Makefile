# Everything a developer does, one word each. `make` alone prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
AGAIN := --reruns 1 --only-rerun TooSlow  # a wait that ran out is tried once more, and shown; nothing else is
KAFKA := $(PYTHON) deploy/kafka/kafka.py
REGISTRY := $(PYTHON) deploy/registry/registry.py
POSTGRES := $(PYTHON) deploy/postgres/postgres.py
CODE := app agents tables deploy tests clients benchmarks examples

export PIP_DISABLE_PIP_VERSION_CHECK := 1

##@ Use it

.PHONY: help
help: ## Print this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.runtime ## Make .venv with .venv/bin/llm-optimizer (once; needs only Python 3.11 or newer)
	@echo "ready: $(BIN)/llm-optimizer --help"

.PHONY: demo
demo: .venv/.runtime ## Show the whole loop: no Docker, no JVM, under two minutes
	@$(BIN)/llm-optimizer demo

##@ Check it

.PHONY: test
test: lint unit simulations e2e-mock e2e chaos-ci ## Everything: lint, types, imports, unit tests, end to end on the mock cluster and on real Kafka, some chaos

.PHONY: lint
lint: .venv/.dev ## Style (ruff), types (mypy strict), layers (import-linter)
	@echo "== ruff" && $(BIN)/ruff check --quiet $(CODE) && $(BIN)/ruff format --quiet --check $(CODE) \
	  || { echo "mend it with: make format"; exit 1; }
	@echo "== mypy" && $(BIN)/mypy
	@echo "== import-linter" && $(BIN)/lint-imports

.PHONY: format
format: .venv/.dev ## Let ruff mend and format what it can
	@$(BIN)/ruff check --quiet --fix $(CODE); $(BIN)/ruff format --quiet $(CODE)

.PHONY: unit
unit: .venv/.dev ## Unit and property tests
	@echo "== unit tests" && $(PYTEST) -q -n 2 -m "not e2e and not simulation"

.PHONY: simulations
simulations: .venv/.dev ## Property tests and replicated simulations: engines, statistics, a service's life
	@echo "== simulations" && $(PYTEST) -q -n 2 -m simulation

.PHONY: e2e-mock
e2e-mock: .venv/.dev ## End to end on the mock cluster inside the test process
	@echo "== end to end, mock cluster" && $(PYTEST) -q $(AGAIN) -m e2e tests

.PHONY: page-test
page-test: .venv/.dev ## The live page in a headless Chromium (skipped, with the reason, without Chromium)
	@echo "== live page" && $(PYTEST) -q -m e2e tests/e2e/test_page.py

.PHONY: e2e
e2e: .venv/.dev ## End to end on a real Kafka of its own (skipped, with the reason, without Java and Maven)
	@echo "== end to end, real Kafka"
	@if reason=$$($(KAFKA) available 2>&1); then \
	  LLM_OPTIMIZER_TEST_KAFKA=real $(PYTEST) -q $(AGAIN) -m e2e tests; \
	else echo "skipped: $$reason"; fi

.PHONY: chaos
chaos: .venv/.dev ## Exactness while things go wrong, on a real Kafka of its own (SEED=n, SEEDS=20, LONG=1, MINUTES=30, ONLY=name,...)
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ONLY),--only $(ONLY)) $(if $(LONG),--long) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: chaos-ci
chaos-ci: .venv/.dev ## The part of it that `make test` runs (skipped, with the reason, without Java and Maven)
	@echo "== chaos" && $(BIN)/python -m tests.chaos --ci $(if $(SEED),--seed $(SEED))

.PHONY: soak
soak: .venv/.dev ## Steady live load on a real Kafka for HOURS (0.05 are three minutes): exactness, memory, a verdict (RATE=500)
	@$(BIN)/python -m tests.chaos.soak --hours $(or $(HOURS),1) --rate $(or $(RATE),500)

.PHONY: bench
bench: .venv/.dev ## Our worker and its peers side by side, and what ours costs, into docs/evidence (<= 10 min on a quiet machine; FULL=1, PEERS_DIR=folder)
	@$(BIN)/python -m benchmarks.bench $(if $(FULL),--full) $(if $(PEERS_DIR),--peers $(PEERS_DIR)) $(if $(ONLY),--only $(ONLY)) $(if $(ENGINES),--engines $(ENGINES))
	@$(BIN)/python -m benchmarks.api --into docs/evidence/api.md

.PHONY: calibrate
calibrate: .venv/.dev ## Measure every rule against its goals, into docs/evidence (<= 10 min; FULL=1 for more, NAB=DIR adds its series)
	@$(BIN)/python -m benchmarks.calibrate --times $(if $(FULL),2,0.4) $(if $(NAB),--nab $(NAB))

.PHONY: faults
faults: .venv/.dev ## Every fault of the simulator: found after how many minutes, by whom, false alarms (SEEDS=3)
	@$(BIN)/python -m benchmarks.faults $(or $(SEEDS),3)

.PHONY: gateways
gateways: .venv/.dev ## Propagation per adapter, the kill drill, stories at real gateways, into docs/evidence (RECORDS=1000000, ONLY=name,...)
	@LLM_OPTIMIZER_TEST_KAFKA=$$($(KAFKA) available >/dev/null 2>&1 && echo real || echo mock) \
	  $(BIN)/python -m benchmarks.gateways $(if $(RECORDS),--records $(RECORDS)) $(if $(ONLY),--only $(ONLY))

##@ Kafka on this machine (KAFKA_PORT, default 9092)

.PHONY: kafka
kafka: ## Start Apache Kafka from Maven's jars and wait until it answers
	@$(KAFKA) start

.PHONY: kafka-stop
kafka-stop: ## Stop it
	@$(KAFKA) stop

.PHONY: kafka-status
kafka-status: ## Say whether it answers
	@$(KAFKA) status

.PHONY: registry
registry: ## Start a schema registry (Apicurio) from Maven and wait until it answers (REGISTRY_PORT, default 18081)
	@$(REGISTRY) start

.PHONY: registry-stop
registry-stop: ## Stop it
	@$(REGISTRY) stop

.PHONY: postgres
postgres: ## Start a PostgreSQL of its own on loopback and print its address (POSTGRES_PORT, default 5433)
	@$(POSTGRES) start

.PHONY: postgres-stop
postgres-stop: ## Stop it
	@$(POSTGRES) stop

.PHONY: sdk
sdk: .venv/.dev ## Build the Python client's wheel into dist/ and use it in an environment of its own (PYTHON=python3.10)
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./clients/python
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(PYTHON) -m venv "$$folder" && \
	  "$$folder/bin/pip" install --quiet --no-index --no-deps dist/llm_optimizer_client-*.whl && cd "$$folder" && \
	  bin/python -I -c 'import llm_optimizer_client as c; o = c.Client(transport=c.MemoryTransport(), spill="spill"); \
	    assert o.response("chat", "m", 1.0) and o.close() and o.counts().sent == 1; print("ready: dist, version", c.__version__)'

.PHONY: litellm
litellm: ## Install LiteLLM (540 MB) into an environment of its own, for its end-to-end test
	@test -x .litellm/bin/litellm || { $(PYTHON) -m venv .litellm && \
	  .litellm/bin/pip install --quiet 'litellm[proxy]==1.106.2' confluent-kafka; }
	@echo "ready: .litellm/bin/litellm"

.PHONY: mlflow
mlflow: ## Install MLflow (1.2 GB) into an environment of its own, for the tests of its AI Gateway
	@test -x .mlflow/bin/mlflow || { $(PYTHON) -m venv .mlflow && \
	  .mlflow/bin/pip install --quiet -r deploy/gateways/mlflow.txt; }
	@echo "ready: .mlflow/bin/mlflow"

.PHONY: portkey
portkey: ## Install Portkey's gateway (npm) into a folder of its own, for the tests of its header
	@command -v npm >/dev/null || { echo "no npm found: install Node 20 or newer"; exit 1; }
	@mkdir -p .portkey && cp deploy/gateways/portkey/package*.json .portkey && \
	  npm ci --silent --ignore-scripts --prefix .portkey
	@echo "ready: .portkey/node_modules/@portkey-ai/gateway"

##@ House-keeping

.PHONY: screenshots
screenshots: .venv/.dev ## Take the pictures of docs/images again, from a run of the demo (needs Chromium)
	@$(BIN)/python -m tests.screenshots

.PHONY: protos
protos: .venv/.dev ## Make the Python stubs of schemas/proto again
	@$(BIN)/python deploy/protos.py

.PHONY: native
native: .venv/.runtime ## Compile the hot loops that are written in C, too (setup does it where there is a compiler)
	@$(BIN)/python deploy/native.py

.PHONY: reference
reference: .venv/.dev ## Write docs/reference and docs/metrics.md again from the code
	@$(BIN)/python -m app.api.reference
	@$(BIN)/python -m app.adapters.telemetry.page

.PHONY: lock
lock: .venv/.dev ## Resolve the dependencies again into the two lock files
	@deploy/lock.sh

.PHONY: clean
clean: ## Remove caches and build results (keeps .venv and .kafka)
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "no Python found: install Python 3.11, or run make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python {v[0]}.{v[1]} is too old: install 3.11 or newer, or run make PYTHON=/path/to/python3.11")'
	@echo "making .venv with $(PYTHON)" && $(PYTHON) -m venv .venv

.venv/.runtime: requirements.lock pyproject.toml deploy/native.py $(wildcard app/core/native/*.[ch] app/adapters/kafka/native/*.[ch]) | .venv/bin/python
	@echo "installing the locked dependencies into .venv (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	@echo "installing the locked test tools into .venv (once)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@
