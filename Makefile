# `make` lists the targets; PYTHON=python3.12 chooses the interpreter that .venv is made with.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
AXE_VERSION := 4.14.1

.DEFAULT_GOAL := help
.PHONY: help setup demo live test check format bench scenarios histories mutants constraints promtool browser clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with trueup, its extras and the tools (nothing to do when nothing changed)

demo: setup ## find, prove, repair and take back a bot's week of ghosts on an embedded ledger
	@$(BIN)/trueup demo

live: setup ## watch a careless bot being reconciled on a simulated exchange, until Ctrl-C
	@$(BIN)/trueup demo --live

test: setup ## run every test, on SQLite and on Postgres
	@$(BIN)/python -m pytest -n 2 --dist worksteal

check: setup ## lint, format, types, layers, tidiness
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/tidy

format: setup ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup ## measure speed against the bare engine
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.loop
	@$(BIN)/python -m bench.gate
	@$(BIN)/python -m bench.integrity 1000000

scenarios: setup ## play ten thousand seeded mixtures of faults at simulated venues (about half an hour)
	@$(BIN)/python -m tests.scenarios $(or $(COUNT),10000)

histories: setup ## play ten thousand seeded histories of bots whose writes fail through the loop (about ten minutes)
	@$(BIN)/python -m tests.reconcile $(or $(COUNT),10000)

mutants: setup ## change the core in thousands of small ways: does a test fail each time?
	@rm -rf mutants
	@TRUEUP_HYPOTHESIS=mutants $(BIN)/python tests/mutants.py run
	@$(BIN)/python tests/mutants.py survivors

constraints: ## resolve every dependency anew and pin it in constraints.txt
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
	  && $(PYTHON) -m venv "$$folder" \
	  && "$$folder/bin/pip" install --quiet '.[all,dev]' \
	  && "$$folder/bin/pip" freeze --exclude trueup > constraints.txt

promtool: # taken out of Debian's package: to install that would start a server
	@command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && chmod 755 "$$folder" \
	  && { [ "$$(id -u)" != 0 ] || apt-get update -qq; } \
	  && (cd "$$folder" && apt-get download -qq -o APT::Sandbox::User=$$(id -un) prometheus) && dpkg-deb -x "$$folder"/prometheus_*.deb "$$folder" \
	  && cp "$$folder/usr/bin/promtool" $(BIN)/promtool

browser: # what the tests of the console look at it with: Debian's Chromium, and a checker of accessibility from npm
	@missing=$$(for tool in chromium npm; do command -v $$tool >/dev/null || echo $$tool; done); [ -z "$$missing" ] \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; }
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
	  && (cd "$$folder" && npm pack --silent axe-core@$(AXE_VERSION) >/dev/null && tar -xzf axe-core-*.tgz) \
	  && cp "$$folder/package/axe.min.js" $(VENV)/axe.min.js

clean: ## remove everything that make made
	rm -rf $(VENV) dist mutants .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "trueup needs Python 3.11 or later as $(PYTHON); choose another: make setup PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y python3-venv; } \
	  || { echo "$(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): a minute or two, once."
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@command -v promtool >/dev/null || [ -x $(BIN)/promtool ] || $(MAKE) --no-print-directory promtool \
	  || echo "promtool is missing, so that the tests of the alert rules are skipped; Debian: apt-get install prometheus"
	@{ command -v chromium >/dev/null && [ -f $(VENV)/axe.min.js ]; } || $(MAKE) --no-print-directory browser \
	  || echo "Chromium, npm or axe-core is missing, so that the tests of the console in a browser are skipped; Debian: apt-get install chromium npm, then make browser"
	@touch $@
