# Each target does all its own set-up: on a fresh machine `make demo` needs a Python, `make test` also Java and Maven.
# What is installed comes from requirements/*.txt, by hash, into .venv/; Kafka comes through Maven into .cache/.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help demo demo-check demo-migrate test test-all check bench chaos replicas soak lock wheel clean

VENV := .venv
PY := $(VENV)/bin/python
BASE := $(VENV)/.base
EMBEDDED := $(VENV)/.embedded
DEV := $(VENV)/.dev
ARGS ?=

# The first Python that is new enough and can make a virtual environment; `make PYTHON=... demo` to choose another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)

# One line a package, as pip comes to it: the only part of an installation that takes long.
PIP := $(PY) -m pip --disable-pip-version-check install --require-virtualenv --progress-bar off
SHOW := awk '/^Collecting /{printf "  %s\n", $$2} /^Installing/{print "  installing them ..."} {fflush()}'

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' Makefile | awk -F '\t' '{printf "make %-12s %s\n", $$1, $$2}'

demo: $(EMBEDDED)  ## the retail scenario on an embedded broker, with a page to open; Ctrl-C ends it
	@exec $(PY) -m proxy demo $(ARGS)

demo-check: $(EMBEDDED)  ## the same, played once without a screen: every reader saw what it should, or exit 1
	@exec $(PY) -m proxy demo --check $(ARGS)

demo-migrate: $(EMBEDDED)  ## one route climbs from an old service to Kafka and comes back, under load; or exit 1
	@exec $(PY) -m proxy demo --migrate $(ARGS)

# They mostly wait: two processes, each with a Kafka of its own, take hardly more than half the time of one. What takes
# long comes first, in the order of the directories, and not in that of how many tests a file has.
JOBS ?= 2
TEST := $(PY) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

test: kafka-tools $(DEV) kafka-jars  ## all tests but the long ones, on a real Kafka that it gets and starts (7 minutes)
	@exec $(TEST) $(ARGS)

test-all: kafka-tools $(DEV) kafka-jars deploy-tools  ## all tests; fails if one could not run for want of a tool (40 minutes)
	@exec $(TEST) --all $(ARGS)

check: $(DEV)  ## format, lint, types, and who may import whom
	@$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q tests/house/test_floors.py

bench: kafka-tools $(DEV) kafka-jars  ## throughput, latency and CPU beside a bare endpoint and two minimal bridges
	@exec $(PY) -m tests.load.bench $(ARGS)

SEED ?= 1
ROUNDS ?= 1
RECORDS ?= 100000

chaos: kafka-tools $(DEV) kafka-jars  ## faults of every kind, and whether any answer lied (4 minutes a round; SEED, ROUNDS, RECORDS)
	@exec $(PY) -m tests.chaos --seed $(SEED) --rounds $(ROUNDS) --records $(RECORDS) $(ARGS)

MINUTES ?= 30

replicas: kafka-tools $(DEV) kafka-jars  ## replicas that are killed and frozen under clients of a group (1 minute a round; SEED, ROUNDS)
	@exec $(PY) -m tests.replicas --seed $(SEED) --rounds $(ROUNDS) $(ARGS)

soak: kafka-tools $(DEV) kafka-jars  ## the same in one long round, with a table every minute (MINUTES, SEED)
	@exec $(PY) -m tests.replicas --seed $(SEED) --soak $(MINUTES) $(ARGS)

wheel: $(BASE)  ## dist/stepbridge-*.whl
	@$(PY) -m pip --quiet --disable-pip-version-check wheel --no-deps --no-build-isolation --wheel-dir dist .
	ls dist/*.whl

LOCK := $(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

lock: $(DEV)  ## choose versions anew, within pyproject.toml's bounds
	@cd requirements
	lock() { echo "Locking requirements/$$1"; ../$(LOCK) "$${@:2}" -o "$$1"; }
	lock run.txt ../pyproject.toml
	lock embedded.txt ../pyproject.toml --extra embedded -c run.txt
	lock tracing.txt ../pyproject.toml --extra tracing -c run.txt
	lock build.txt build.in -c embedded.txt
	lock dev.txt ../pyproject.toml --extra embedded --extra tracing build.in dev.in -c embedded.txt -c tracing.txt -c build.txt

clean:  ## all that was made or fetched
	rm -rf .venv .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up: each stamp is newer than what it was made from, so a second run is instant

.PHONY: python kafka-tools kafka-jars deploy-tools
python:
	@if [ -z "$(PYTHON)" ]; then
	  echo "Python 3.11 or newer, with venv, was not found. Install it (Debian: apt-get install python3 python3-venv)," >&2
	  echo "or name one: make PYTHON=/path/to/python3.11 ..." >&2
	  exit 1
	fi

$(BASE): requirements/build.txt | python
	@echo "Making $(VENV) with $(PYTHON)"
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) --require-hashes -r requirements/build.txt | $(SHOW)
	$(PY) -m pip --quiet --disable-pip-version-check install --no-deps --no-build-isolation --editable .
	touch $@

$(EMBEDDED): $(BASE) requirements/embedded.txt
	@echo "Installing what the demo needs into $(VENV)"
	$(PIP) --require-hashes -r requirements/embedded.txt | $(SHOW)
	touch $@

$(DEV): $(BASE) requirements/dev.txt
	@echo "Installing what the tests need into $(VENV)"
	$(PIP) --require-hashes -r requirements/dev.txt | $(SHOW)
	touch $@ $(EMBEDDED)

kafka-tools: python
	@$(PYTHON) -m tests.kafka.jars --look

kafka-jars: $(DEV)
	@$(PY) -m tests.kafka.jars
	$(PY) -m tests.kafka.classes

# Helm and promtool, which Go builds in three minutes each: `make test` takes them if they are there.
deploy-tools: $(DEV)
	@$(PY) -m tests.deploy.binaries
