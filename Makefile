# One command on a fresh machine: `make demo`, `make test` or `make figures` makes .venv, installs the hashed lock file and the
# project, and goes on. Stamps in .venv make the next run start at once.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
UPGRADE ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CODE := agents protocol ledger runners experiments tests
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(UPGRADE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test figures check docs format lock wheel clean clean-all

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  PYTHON=python3.12 VENV=.venv312 take another interpreter (3.11 to 3.13) and place; ARGS='-k lease' goes to pytest."

venv: $(VENV)/.ready  ## make .venv with everything in it (all the others do this first)

demo: $(VENV)/.ready  ## one Sunday evening in a street of 200 homes
	$(BIN)/wattswap run demo

test: $(VENV)/.ready  ## run all tests
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

figures: $(VENV)/.ready  ## measure the tables of the README again
	$(BIN)/python -m wattswap.experiments.figures

check: $(VENV)/.ready  ## lint, formatting and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

docs: $(VENV)/.ready  ## build the pages of docs/ into site/; a broken link stops it
	$(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html"

format: $(VENV)/.ready  ## lay the code out and mend what ruff can mend
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

lock: $(VENV)/.locked  ## write both lock files anew (UPGRADE=--upgrade moves every version)
	$(LOCK) --all-extras --group dev pyproject.toml -o requirements.lock
	$(LOCK) --constraint requirements.lock pyproject.toml -o requirements-core.lock
	@! grep -nE '://|file:|^ *(--(index|extra-index|find-links)|-[if] )| @ ' requirements.lock requirements-core.lock || \
		{ echo "An address or a path of this machine stands in a lock file (lines above)." >&2; exit 1; }

wheel: $(VENV)/.ready  ## build the wheel, look inside, install it in a fresh place and import it
	rm -rf dist
	$(BIN)/hatchling build -t wheel -d dist
	$(BIN)/python tests/wheel_check.py dist/*.whl

clean:  ## remove what tools left behind (not .venv, not runs/)
	rm -rf dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean  ## remove .venv too
	rm -rf $(VENV)

# --- set-up: the venv, the lock file into it, then the project. pip refuses hashes and -e in one command, so two steps.

$(VENV)/.made:
	@command -v $(PYTHON) > /dev/null || \
		{ echo "There is no '$(PYTHON)' here. Install Python 3.11, 3.12 or 3.13 (Debian, Raspberry Pi OS: apt-get install python3 python3-venv)," >&2; \
		  echo "or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Wattswap runs on Python 3.11 to 3.13, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || \
		{ echo "'$(PYTHON)' cannot make virtual environments: its venv and ensurepip are missing. On Debian, Ubuntu and Raspberry Pi OS:" >&2; \
		  echo "    sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, about half a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.locked: requirements.lock $(VENV)/.made
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.ready: pyproject.toml $(VENV)/.locked
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@$(PIP) check
	@touch $@
