SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
STEADILY := $(PY) tools/steadily.py
# One more than a small machine has cores: a third of the time they wait for servers.
PYTEST := $(PY) -m pytest -n 3
# Workers share the cores: what a deadline guards is slower, not stuck.
export TEST_TIMEOUT_FACTOR ?= 4
# Else each of some thousand processes compiles every module that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## print the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

.PHONY: setup
setup: ## install what is missing, make .venv, get the Pulumi engine
	@tools/bootstrap
	@$(STEADILY) "engine" -- $(PY) -m engine ensure

.PHONY: demo
demo: setup ## the main job: a running Airbyte goes from v0 to v2, its host dies, another takes over; measured
	@$(PY) -m lab.demo

.PHONY: lab
lab: setup ## start the lab (four hosts, a registry, the outside world)
	@$(PY) -m lab up

.PHONY: image
image: ## IMAGE=REGISTRY/NAME: build the DB Migration Script for your own servers
	@test -n "$(IMAGE)" || { echo "error: no IMAGE; name it: make image IMAGE=registry.example.com/db-migration" >&2; exit 2; }
	@tar -c --exclude=__pycache__ --transform 's,^requirements/agent.lock$$,wheels.lock,' airbyte db_migration requirements/agent.lock \
		| docker build -t "$(IMAGE)" $(if $(BASE),--build-arg BASE=$(BASE)) -f db_migration/Dockerfile -

.PHONY: clean-lab
clean-lab: ## remove every container, network and volume of the lab, and nothing else
	@tools/bootstrap
	@$(PY) -m lab down

.PHONY: lint
lint: ## format check, lint, types, shell scripts, sizes
	@tools/bootstrap
	@$(PY) -m ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(PY) -m ruff check --quiet .
	@$(STEADILY) "mypy" -- $(PY) -m mypy
	@shellcheck $$(git ls-files -co --exclude-standard ':!components/files/hostctl' | xargs awk 'FNR == 1 && /^#!.*(bash|\/sh)/ { print FILENAME }')
	@cat components/files/hostctl/*.bash | shellcheck -
	@$(PY) tools/sizes.py
	@echo "lint: clean"

.PHONY: format
format: ## format the tree and mend what ruff can mend
	@$(PY) -m ruff format --quiet . && $(PY) -m ruff check --fix --quiet .

.PHONY: test-unit
test-unit: setup ## unit tests: Pulumi mocks, planner, settings (no lab; under 90 s warm)
	@$(STEADILY) "pytest" -- $(PYTEST) tests/unit

.PHONY: test-conformance
test-conformance: setup ## the stand-ins against the facts they stand for
	@$(STEADILY) "pytest" -- $(PYTEST) tests/conformance

.PHONY: test-scenarios
test-scenarios: setup ## the DB Migration Script against real PostgreSQL, 13 to 17
	@$(STEADILY) "pytest" -- $(PYTEST) tests/scenarios

.PHONY: test-integration
test-integration: setup ## the real engine against the lab's real hosts
	@$(STEADILY) "pytest" -- $(PYTEST) tests/integration

.PHONY: test
test: ## lint, and every test but the long ones; sets up all it needs
	@tools/bootstrap
	@# Tests that need the engine wait for it; to build it takes minutes on a bare machine.
	@$(PY) -m engine ensure & trap 'kill $$! 2>/dev/null || true' EXIT; \
		$(MAKE) --no-print-directory lint && \
		$(STEADILY) "pytest" -- $(PYTEST) -v --durations=15 -m "not long" tests

.PHONY: test-long
test-long: setup ## the long tests; CI begins none after the second TEST_LONG_UNTIL of the epoch
	@$(STEADILY) "pytest" -- $(PYTEST) -v -rs --durations=15 -m long tests

.PHONY: properties
properties: setup ## ROUNDS=50: random tables of every type through copy, stream and verification
	@PROPERTY_ROUNDS=$(or $(ROUNDS),50) $(STEADILY) "pytest" -- $(PYTEST) tests/scenarios/properties

.PHONY: random-faults
random-faults: setup ## ROUNDS=100 SEED=1: kills, cuts, full disks at random over a feed under load
	@$(STEADILY) "random faults" -- $(PY) -m tests.support.random_faults --rounds $(or $(ROUNDS),100) --seed $(or $(SEED),1)

.PHONY: prove-tests
prove-tests: setup ## every measure switched off in turn; each must turn its test red
	@$(PY) -m tests.faults.prove

.PHONY: benchmarks
benchmarks: setup ## ours against its peers on one database; report in benchmarks/results
	@tools/bootstrap psql:postgresql-client pgcopydb:pgcopydb
	@$(STEADILY) "benchmarks" -- $(PY) -m benchmarks

.PHONY: takeovers
takeovers: setup ## ROUNDS=5: seconds without a write at a cut-over and after a host's death, database part
	@$(STEADILY) "takeovers" -- $(PY) -m benchmarks.takeovers --rounds $(or $(ROUNDS),5)

.PHONY: lock
lock: ## renew the lock files from pyproject.toml
	@$(PY) -m pip install --quiet uv
	@.venv/bin/uv pip compile -q --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 --extra dev pyproject.toml -o requirements/all.lock
	@.venv/bin/uv pip compile -q --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 requirements/agent.in -o requirements/agent.lock
	@.venv/bin/uv pip compile -q --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 -c requirements/all.lock lab/airbyte_standin/requirements.txt -o lab/images/standin/wheels.lock
	@$(PY) -m pip uninstall --quiet -y uv
