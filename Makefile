# Hansa's commands. `make` lists them.
#
# A fresh machine needs Python >= 3.11, make and git. Everything else lands in .tools, .venv and node_modules here.

.DEFAULT_GOAL := help
.PHONY: help setup demo test cover quick changed check fmt bench torture fuzz audit client chromium mosquitto clean wipe

BIN := .venv/bin
ARGS ?=

# Tests start many processes. One that may not keep bytecode compiles all of Hansa anew: twice the processor time of a start.
export PYTHONDONTWRITEBYTECODE :=

help: ## list these commands
	@echo "Hansa: one account, honoured in every city. Commands:"
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready node_modules/.ready ## install what Hansa needs into this folder (done by the others as needed)

demo: setup mosquitto ## run the demo league for one business day and show it (ARGS="--riders 2000 --once")
	@$(BIN)/hansa demo $(ARGS)

test: setup chromium mosquitto ## run all tests (ARGS="tests/ledger -k chain")
	@$(BIN)/pytest $(ARGS)

cover: setup chromium mosquitto ## run all tests and tell which lines none of them reaches (half as long again)
	@$(BIN)/pytest --cov --cov-report=term $(ARGS)

quick: setup ## run all tests but the slow and the browser's (ARGS=tests/ledger: those of one room)
	@$(BIN)/pytest -q -m "not slow and not browser" $(ARGS)

changed: setup ## run the tests nearest to what is not committed, two minutes at most (ARGS="--since HEAD~3", --list)
	@$(BIN)/python tools/changed.py $(ARGS)

check: setup ## check format, lint, imports between rooms, and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/basedpyright

fmt: setup ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## run the benchmarks in their short form; by itself each one takes the full one (python benchmarks/ledger.py)
	@for benchmark in benchmarks/[a-z]*.py; do $(BIN)/python "$$benchmark" --short $(ARGS) || exit 1; done

torture: setup ## kill -9 the ledger's engine and PostgreSQL a hundred times under load (ARGS="--seed 7")
	@$(BIN)/python tests/torture/torture.py $(ARGS)

fuzz: setup ## throw bytes at every decoder and verifier (ARGS="--executions 1000000")
	@$(BIN)/python tests/fuzz/run.py $(ARGS)

audit: setup ## ask for known faults of what Hansa depends on (ARGS="--sbom sbom.json" writes the list of it instead)
	@$(BIN)/python tools/audit.py $(ARGS)

client: setup ## write the operations of the Python client from this checkout's description (packages/hansa-client)
	@$(BIN)/python tools/make_client.py

clean: ## remove what setup and the checks made; the data in .hansa stay
	@rm -rf .venv .tools node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

wipe: .venv/.ready ## delete the data of the demo league in .hansa, for good
	@$(BIN)/python -c "from pathlib import Path; from hansa.store import EmbeddedServer; EmbeddedServer(Path('.hansa')).wipe()"

chromium:
	@sh tools/chromium.sh

mosquitto:
	@sh tools/mosquitto.sh

.venv/.ready: pyproject.toml uv.lock tools/bootstrap.sh
	@sh tools/bootstrap.sh
	@touch $@

node_modules/.ready: package.json package-lock.json tools/browser_files.sh .venv/.ready
	@sh tools/browser_files.sh
	@touch $@
