# Every target says what it is for: `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: help demo test check format lock bench lab lab-down clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One stamp file stands for "installed as locked": it is older than the lock when the lock changes.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "opsagent needs Python 3.11 or newer; set PYTHON=/path/to/python3")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "cannot make .venv: install the venv module of $(PYTHON) (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/installed ## Watch opsagent find, explain, roll back and verify a bad rollout (ARGS="--headless --approve --json")
	@$(BIN)/opsagent demo $(ARGS)

test: .venv/installed ## Run all tests; CI=true or LAB=1 adds a real API server
	@$(BIN)/python -m tests.run $(ARGS)

check: .venv/installed ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo | tail -n 3

format: .venv/installed ## Rewrite the code as the formatter wants it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet .

lock: .venv/installed ## Resolve the dependencies anew into requirements.lock (hashes, no addresses)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --no-strip-extras --generate-hashes --no-header --no-annotate --quiet --exclude-newer "7 days" --output-file requirements.lock

bench: .venv/installed ## Measure against the obvious library, alternating in one run (ARGS=--json)
	@$(BIN)/python -m tests.bench $(ARGS)

lab: .venv/installed ## Start a real cluster with Prometheus, print kubeconfig and URLs (ARGS=--control-plane: without root)
	@$(BIN)/python -m tests.lab up $(ARGS)

lab-down: .venv/installed ## Stop it; nothing stays behind
	@$(BIN)/python -m tests.lab down

clean: ## Remove what the other targets made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
