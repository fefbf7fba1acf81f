# Everything a newcomer or CI types. Set-up happens by itself, inside .venv, and is
# repeated only when a file it depends on is newer than its stamp.

PYTHON ?= python3
PORT ?= 8000
# Two processes fit the smallest machine we promise to run on; loadfile keeps the tests of a
# file, which may share a scarce thing (one browser, one port), on one of them.
PYTEST_ARGS ?= -n 2 --dist loadfile

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: pip then tells only errors. It asks nothing, for nobody may be there to answer.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
# What `make bench` compares with stays apart from what the project runs with.
PEERS := .venv-peers
PROJECTS := pyproject.toml services/imaging/pyproject.toml
TYPED := src services/imaging/src tests services/imaging/tests bench examples

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------- for users

.PHONY: run
run: $(VENV)/.run-ready ## start the image service on 127.0.0.1:8000 (PORT=… for another)
	@exec $(BIN)/imaging run --port $(PORT)

.PHONY: demo
demo: $(VENV)/.run-ready ## put a few photographs through the service, show the result, end
	@exec $(BIN)/imaging demo

# ----------------------------------------------------------------------- for developers

.PHONY: test
test: $(VENV)/.dev-ready ## run all tests (PYTEST_ARGS=… replaces the two parallel processes)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: check
check: $(VENV)/.dev-ready ## format, lint, types, import contracts, public API
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(wildcard $(TYPED))
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/contract --ignore tests/contract/test_wheels.py

.PHONY: mutants
mutants: $(VENV)/.dev-ready ## plant each known bug of tests/mutants and see a test fail
	$(BIN)/python tests/mutants/run.py

.PHONY: evidence evidence-power evidence-model evidence-kill evidence-kill-servers evidence-fuzz evidence-images
evidence: evidence-power evidence-model evidence-kill evidence-kill-servers evidence-fuzz evidence-images ## the long proofs, three hours and more, into docs/evidence

evidence-power: $(VENV)/.dev-ready
	$(BIN)/python -m tests.power.run --images 50000 --seed 1 --out docs/evidence/power.json

evidence-model: $(VENV)/.dev-ready
	$(BIN)/python -m tests.store.play --steps 1000000 --seed 1 --out docs/evidence/model.json

evidence-kill: $(VENV)/.dev-ready
	$(BIN)/python -m tests.kill.run --jobs 100000 --workers 4 --kills 2000 --stops 1000 \
		--seed 1 --out docs/evidence/kill.json

SERVERS := postgres redis
evidence-kill-servers: $(VENV)/.dev-ready
	for store in $(SERVERS); do $(BIN)/python -m tests.kill.run --store $$store --jobs 20000 \
		--workers 4 --kills 240 --stops 80 --cuts 160 --outages 100 --lease 3 --seed 1 \
		--out docs/evidence/kill-$$store.json || exit 1; done

evidence-fuzz: $(VENV)/.dev-ready
	$(BIN)/python -m services.imaging.tests.fuzz.run --mutants 20000 --seed 1 \
		--out docs/evidence/fuzz.json

evidence-images: $(VENV)/.dev-ready
	$(BIN)/python -m services.imaging.tests.crash.run --images 500 --seed 1 \
		--out docs/evidence/images.json

.PHONY: bench
bench: $(VENV)/.dev-ready $(PEERS)/.ready ## measure beside a raw loop and the peers (BENCH_ARGS=…)
	$(BIN)/python -m bench.run $(BENCH_ARGS)

.PHONY: bench-scaling
bench-scaling: $(VENV)/.dev-ready ## what a job costs each server, and a fleet in virtual time (BENCH_ARGS=…)
	$(BIN)/python -m bench.scaling.run $(BENCH_ARGS)

.PHONY: bench-imaging
bench-imaging: $(VENV)/.dev-ready $(PEERS)/.ready ## the image service beside Celery and Redis (BENCH_ARGS=…)
	$(BIN)/python -m bench.imaging.run $(BENCH_ARGS)

.PHONY: wheels
wheels: $(VENV)/.dev-ready ## build both wheels into dist/
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .
	$(BIN)/python -m build --wheel --no-isolation --outdir dist services/imaging

# The address of an index or of a file must not end up in a pinned file: whoever installs
# brings an index, and the hashes say whether it served the right thing.
COMPILE := $(BIN)/uv --quiet pip compile --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-emit-package offload --no-emit-package imaging --custom-compile-command "make lock"

.PHONY: lock
lock: $(VENV)/.dev-ready ## pin requirements/*.in again (UPGRADE=--upgrade for newer releases)
	$(COMPILE) $(UPGRADE) requirements/build.in --output-file requirements/build.txt
	$(COMPILE) $(UPGRADE) requirements/run.in --output-file requirements/run.txt
	$(COMPILE) $(UPGRADE) requirements/dev.in --output-file requirements/dev.txt
	$(COMPILE) $(UPGRADE) requirements/peers.in --output-file requirements/peers.txt

.PHONY: clean
clean: ## remove all that make and the tools made, .venv included
	rm -rf $(VENV) $(PEERS) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src services tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# ------------------------------------------------------------------------------- set-up

# A half-made .venv has no stamp, so the next call starts over with a fresh one.
$(VENV)/.python:
	@command -v $(PYTHON) >/dev/null || { \
		echo "No $(PYTHON) here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3 …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); this needs 3.11 or newer. Name another: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, about a minute) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# What builds is installed first and with its hash checked, for pip checks none of what it
# fetches into an isolated build. --no-deps: our own two need nothing but what is pinned.
define set_up
@$(PIP) --require-hashes --requirement requirements/build.txt
@$(PIP) --require-hashes --no-build-isolation --requirement $<
@$(PIP) --no-deps --no-build-isolation --editable . --editable services/imaging
endef

$(VENV)/.run-ready: requirements/run.txt requirements/build.txt $(PROJECTS) | $(VENV)/.python
	$(set_up)
	@touch $@

$(VENV)/.dev-ready: requirements/dev.txt requirements/build.txt $(PROJECTS) | $(VENV)/.python
	$(set_up)
	@touch $@ $(VENV)/.run-ready

$(PEERS)/.ready: requirements/peers.txt | $(VENV)/.python
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes --requirement $<
	@touch $@
