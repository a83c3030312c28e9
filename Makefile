# The whole path from a clean clone: `make demo`, `make test`. Another interpreter: `make test PYTHON=python3.13`.

.DEFAULT_GOAL := help
SHELL := bash
# What Python compiles is kept, also where a container image says otherwise: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

# The first CPython from 3.11 that can make a virtual environment.
FIND_PYTHON = for python in python3 python3.13 python3.12 python3.11 $(HOME)/.pyenv/versions/3.1[1-9].*/bin/python; do \
  "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; \
  done

ifeq ($(origin PYTHON), undefined)
  PYTHON := $(shell $(FIND_PYTHON))
  VENV := .venv
else
  # Each interpreter that is asked for by name has an environment of its own beside the usual one.
  VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CODE := otel_benchmark collector_processor tests

.PHONY: help demo demo-jaeger test crash fuzz servers check audit bench soak lock clean

help: ## these words
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: $(READY) ## run a small real arbiter, store what it did, show it
	@$(BIN)/otel-benchmark demo

demo-jaeger: $(READY) ## the same, and one of its traces in a Jaeger (JAEGER=/path/to/jaeger: your own)
	@PYTHONPATH=tests $(BIN)/python -m servers.demo_jaeger $(JAEGER)

# In their order, not by files' numbers of tests: the long files come first and short ones fill the end.
test: $(READY) ## run all tests; those of a server that isn't there are skipped
	$(BIN)/python -m pytest -n auto --maxprocesses=8 --dist=loadfile --no-loadscope-reorder $(TESTS)

crash: export KILLS ?= 1000
crash: export POWER_CUTS ?= 2000
crash: export PATIENCE_SECONDS ?= 300
crash: $(READY) ## kill the processor (KILLS=1000) and cut the power (POWER_CUTS=2000), then account for every span
	$(BIN)/python -m pytest -n 3 --dist=worksteal tests/crash

fuzz: $(READY) ## fuzz all that reads others' bytes (FUZZ=traces: one of it; FUZZ_SECONDS=60 each); atheris comes first
	@$(BIN)/python -m pip install --quiet --upgrade --only-binary :all: --target .fuzz/lib "atheris>=2.3" \
	  || { echo "fuzz: SKIPPED, atheris has no wheel for $$($(BIN)/python --version) on this machine" >&2; exit 0; }; \
	  PYTHONPATH=tests:.fuzz/lib $(BIN)/python -m fuzzing $(FUZZ)

servers: $(READY) ## make the real servers that tests talk to (SERVERS=jaeger: one of them), once
	PYTHONPATH=tests $(BIN)/python -m servers $(SERVERS)

check: $(READY) ## lint, format, types, import rules, known vulnerabilities
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory audit

audit: ## ask the package index for known vulnerabilities of the pinned versions; a skip where it knows none
	@.ci/audit "$(PYTHON)" $(VENV)-audit

bench: $(READY) ## measure speed and memory, as ratios in one run
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(BENCH)

soak: $(READY) ## run at half of the maximum rate (SOAK_SECONDS=1800): does memory, journal or lag grow? Charts in build/soak
	PYTHONPATH=tests $(BIN)/python -m soak

lock: ## pin anew what development uses, from pyproject.toml's bounds
	@.ci/lock "$(PYTHON)" > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean: ## remove everything that was built
	rm -rf .venv .venv-* .fuzz build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

# Made anew when the project's needs or the pinned versions change, so that it never holds what nobody asked for.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "CPython 3.11 or newer with venv is needed; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making $(VENV) with $$("$(PYTHON)" --version), once, about a minute" >&2
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[processor]" --group dev
	@touch $@
