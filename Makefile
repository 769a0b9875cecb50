# Everything a person or a CI machine does here. `make demo` is the first command, `make test` the second.
# Needs Python 3.10 or newer (with venv) and make. Node comes from PyPI where none is installed.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
STAMPS := $(VENV)/stamps
DEEPFT_SHARED ?= $(abspath ../shared)
export DEEPFT_SHARED

FRONT_END := package.json package-lock.json tsconfig.base.json \
	$(shell find widgets labextension -type f -not -path '*/node_modules/*' -not -path '*/lib/*' -not -name '*.tsbuildinfo' -not -name '*.md' 2>/dev/null)

.PHONY: help demo setup test test-all lab check format bench clean

help:
	@sed -n 's/^## //p' Makefile

## make demo      set up, then train on real handwritten digits and predict
demo: setup
	$(BIN)/jupyter-deepft demo

## make lab       open JupyterLab with everything
lab: setup
	$(BIN)/jupyter lab

## make setup     the environment in .venv, everything built; costs nothing the second time
setup: $(STAMPS)/installed $(STAMPS)/linked

## make test      set up and run the tests (at most an hour on 2 cores)
test: setup $(STAMPS)/browser
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

## make test-all  the same, and every template at its full size (eight minutes more, 6 GB of memory)
test-all: setup $(STAMPS)/browser
	$(BIN)/python -m pytest $(PYTEST_ARGS)

## make check     format, lint, types, layers
check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm run check --workspaces --if-present

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## make bench     the figures, each beside its limit or its peer; ends badly where one is missed, after all have run
bench: setup
	@missed=""; for script in $$(grep -l "__main__" bench/*.py | grep -v contestants.py); do \
		echo "== $$script"; $(BIN)/python $$script || missed="$$missed $$script"; done; \
	if [ -n "$$missed" ]; then echo "missed or failed:$$missed"; exit 1; fi

## make clean     remove all that setup and tests made
clean:
	rm -rf $(VENV) node_modules */node_modules labextension/lib deepft_lab/labextension deepft_lab/widgets/static dist build test-output demo-output

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 10) else f"DeepFT Lab needs Python 3.10 or newer; {sys.executable} is {v.major}.{v.minor}. Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/node: scripts/node.sh | $(STAMPS)/venv
	bash scripts/node.sh $(VENV)
	$(BIN)/pip install --quiet "jupyter-builder>=1.3"
	touch $@

$(STAMPS)/node_modules: package-lock.json package.json labextension/package.json widgets/package.json | $(STAMPS)/node
	npm ci --no-audit --no-fund --loglevel=error
	touch $@

$(STAMPS)/front_end: $(FRONT_END) | $(STAMPS)/node_modules
	@if [ -n "$$(find package-lock.json -newer $(STAMPS)/node_modules)" ]; then npm ci --no-audit --no-fund --loglevel=error && touch $(STAMPS)/node_modules; fi
	npm run build --silent
	touch $@

$(STAMPS)/installed: pyproject.toml | $(STAMPS)/front_end
	DEEPFT_SKIP_FRONT_END=1 $(BIN)/pip install --quiet -e ".[test,check]"
	touch $@

# The installed copy of shared data becomes a link, so a rebuilt front end is what JupyterLab serves.
$(STAMPS)/linked: $(STAMPS)/front_end | $(STAMPS)/installed
	$(BIN)/jupyter-builder develop . --overwrite
	touch $@

# Chromium for the browser tests, by apt where that may be done.
$(STAMPS)/browser: scripts/chromium.sh | $(STAMPS)/venv
	bash scripts/chromium.sh
	touch $@
