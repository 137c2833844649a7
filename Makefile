# One command on a fresh machine: `make demo`, `make test` or `make figures` makes .venv, installs the hashed lock file and the
# project, and goes on. Stamps in .venv make the next run start at once.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
UPGRADE ?=
LOCKFILE := requirements.lock
# A requirement like `pip==23.0.1`, or `pip` for the newest; when empty, the pip that PYTHON brings along does the set-up.
SETUP_PIP :=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CODE := agents protocol ledger runners experiments tests
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(UPGRADE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test figures check docs format lock wheel clean clean-all stale

# Of what is set around us only this reaches pip: where packages come from, and how to get there. Anything else that it takes
# from PIP_... (a constraint, a target, --user) would change what is installed.
PIP_KEEPS := PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_NO_INDEX PIP_TRUSTED_HOST PIP_CERT PIP_CLIENT_CERT PIP_PROXY \
	PIP_TIMEOUT PIP_DEFAULT_TIMEOUT PIP_RETRIES PIP_CACHE_DIR PIP_NO_CACHE_DIR PIP_KEYRING_PROVIDER PIP_CONFIG_FILE
unexport $(filter-out $(PIP_KEEPS),$(filter PIP_%,$(.VARIABLES)))
# The same for configuration files: the venv's own pip.conf empties these, and what is empty counts as not given. It ranks above
# the files of the machine and of the user, whose index thus stays. A file that PIP_CONFIG_FILE names ranks higher still, so
# set-up stops if it sets one of these.
PIP_EMPTIED := build-constraint constraint dry-run editable ignore-requires-python no-binary only-binary platform prefix pre \
	python-version requirement root target uploaded-prior-to user
# Foreign modules, switched-off assertions and warnings as errors stay out of every command here. What was compiled is kept: the
# tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONOPTIMIZE PYTHONPATH PYTHONWARNINGS
export PYTHONNOUSERSITE := 1

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  PYTHON=python3.12 VENV=.venv312 take another interpreter (3.11 to 3.13) and place; ARGS='-k lease' goes to pytest."

venv: $(VENV)/.ready  ## make .venv with everything in it (all the others do this first)

demo: $(VENV)/.ready  ## one Sunday evening in a street of 200 homes
	$(BIN)/wattswap run demo

test: $(VENV)/.ready  ## run all tests
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

figures: $(VENV)/.ready  ## measure the tables of docs/figures.md and the README again
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
#
# The lock names every package that is needed, so pip must not look for more: with --require-hashes it would look up the extra
# of `coverage[toml]` anew, find a release newer than the lock, for which there is no hash, and stop. `pip check` then says
# whether anything is missing.
#
# A venv is never mended. When the lock file changes, or the venv was moved, copied, half made, or made by another Python than
# the one asked for, it is made anew: what an older lock left behind can then neither help nor harm. .locked holds the path of
# the pip inside, which tells both place and Python; .made says that the folder is ours to remove.

pip_inside := $(shell "$(BIN)/python" -I -c 'import pip; print(pip.__file__)' 2> /dev/null)
ifneq ($(wildcard $(VENV)/.locked),)
ifneq ($(shell cat "$(VENV)/.locked"),$(or $(pip_inside),none))
$(VENV)/.locked: stale
else ifneq ($(origin PYTHON),file)
ifeq ($(findstring $(shell $(PYTHON) -I -c 'import sys; print("/python%d.%d/" % sys.version_info[:2])'),$(pip_inside)),)
$(VENV)/.locked: stale
endif
endif
endif

$(VENV)/.locked: $(LOCKFILE)
	@command -v $(PYTHON) > /dev/null || \
		{ echo "There is no '$(PYTHON)' here. Install Python 3.11, 3.12 or 3.13 (Debian, Raspberry Pi OS: apt-get install python3 python3-venv)," >&2; \
		  echo "or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Wattswap runs on Python 3.11 to 3.13, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || \
		{ echo "'$(PYTHON)' cannot make virtual environments: its venv and ensurepip are missing. On Debian, Ubuntu and Raspberry Pi OS:" >&2; \
		  echo "    sudo apt-get install python3-venv" >&2; exit 1; }
	@[ ! -e "$(VENV)" ] || [ -e "$(VENV)/.made" ] || \
		{ echo "'$(VENV)' was not made by this Makefile, which makes it from nothing. Move it away, or name another place:" >&2; \
		  echo "    make VENV=.venv-wattswap" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; it takes a few minutes) ..."
	@base=$$($(PYTHON) -I -c 'import sys; print(sys._base_executable)') && \
		rm -rf "$(VENV)" && mkdir -p "$(VENV)" && touch "$(VENV)/.made" && "$$base" -m venv "$(VENV)"
	@for section in global install; do echo "[$$section]"; printf '%s =\n' $(PIP_EMPTIED); done > "$(VENV)/pip.conf"
	@! $(PIP) config list | grep -E $(foreach option,$(PIP_EMPTIED),-e "^(global|install)[.]$(option)=.[^']") >&2 || \
		{ echo "The file that PIP_CONFIG_FILE names sets this (lines above), which changes what is installed. Take it out of" >&2; \
		  echo "there, or go without the file: env -u PIP_CONFIG_FILE make" >&2; exit 1; }
	@$(if $(SETUP_PIP),$(PIP) install --quiet --upgrade "$(SETUP_PIP)")
	@$(PIP) install --quiet --no-deps --require-hashes -r "$(LOCKFILE)"
	@$(BIN)/python -I -c 'import pip; print(pip.__file__)' > "$@"

$(VENV)/.ready: pyproject.toml $(VENV)/.locked
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@$(PIP) check
	@touch $@
