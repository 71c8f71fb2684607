# One command per wish. `make` alone says which.

VERSIONS := 3.11 3.12 3.13
# Those that run here: pyenv, for one, has a command for each Python, also for those that it will not start
HERE := $(foreach version,$(VERSIONS),$(shell python$(version) -c 'print("$(version)")' 2>/dev/null))
PY ?= python$(or $(firstword $(HERE)),$(firstword $(VERSIONS)))
OTHERS := $(filter-out $(patsubst python%,%,$(notdir $(PY))),$(HERE))
BIN := .venv/bin
ONCE ?=
# For the other Pythons: what stands on libraries that are others there, the store on SQLite, and a node that starts
FAST := contracts unit/config unit/http unit/mobieurope unit/ocpp unit/rest live/test_start_live.py
# A station for the live tests that is not ours, where there is npm
NPM := $(if $(shell command -v npm),tests/live/npm/node_modules/.ok)
# What drives a browser through the pages, where there is one
BROWSER := $(if $(shell command -v chromium),.venv/.browser)
ONLY ?=
LONG ?=
MINUTES ?= 30
SEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test check prove bench charts lock

help:  ## say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: .venv/.ok  ## two operators, six stations, roaming in each version of OCPP; ONCE=1 ends after the records
	@$(BIN)/python node.py demo $(if $(ONCE),--once)

test: .venv/.ok $(OTHERS:%=.venv-%/.ok) $(NPM) $(BROWSER)  ## every test, on two cores; then the fast ones on each other Python that is here
	@$(BIN)/python -m pytest -q -n 3 --dist loadgroup
	@for version in $(OTHERS); do \
		echo "Python $$version, the fast tests"; \
		.venv-$$version/bin/python -m pytest -q -n 3 --dist loadgroup -k "not postgresql" $(FAST:%=tests/%) || exit 1; \
	done
	@for version in $(filter-out $(HERE),$(VERSIONS)); do echo "Python $$version is not here: not tried"; done
	@$(if $(BROWSER),:,echo "no chromium is here: the pages were not tried in a browser")

check: .venv/.ok  ## style, types, the rules of the house, stale pages, sizes of functions, the API by its own document
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python node.py charts --check
	@$(BIN)/python -m pytest -q tests/unit/test_house.py
	@$(BIN)/python -m tests.support.sizes
	@$(BIN)/python -m tests.conformance

prove: .venv/.ok  ## try to break every promise; LONG=1 takes MINUTES=30 and writes docs/scorecard.md; SEED=N begins there
	@LONG=$(LONG) MINUTES=$(MINUTES) $(BIN)/python -m tests.prove --first-seed $(SEED) $(if $(LONG),--page docs/scorecard.md)

bench: .venv/.ok  ## measure the node, as docs/performance.md tells; ONLY="commits starts" measures some
	@$(BIN)/python -m tests.bench $(ONLY)

charts: .venv/.ok  ## write the pages of docs/ anew that are made of what runs
	@$(BIN)/python node.py charts

lock: .venv/.ok  ## write requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile -q pyproject.toml --extra otel --group dev --universal --generate-hashes --no-header -o requirements.lock
	@$(BIN)/uv pip compile -q --group browser -c requirements.lock --universal --generate-hashes --no-header -o requirements-browser.lock

.venv/.ok: pyproject.toml requirements.lock
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "roamnode needs Python 3.11 or newer, and $(PY) is none: install it, or name one: make PY=/path/to/python3" >&2; \
		exit 1; }
	@echo "setting up .venv"
	@$(PY) -m venv .venv || { echo "$(PY) cannot make a virtual environment (on Debian: python3-venv)" >&2; exit 1; }
	@.venv/bin/python -m pip install -q --disable-pip-version-check uv==0.13.9
	@.venv/bin/uv pip sync -q --require-hashes --python .venv/bin/python requirements.lock
	@touch $@

.venv/.browser: requirements-browser.lock .venv/.ok
	@echo "setting up what drives the browser"
	@$(BIN)/uv pip install -q --require-hashes --python $(BIN)/python -r requirements-browser.lock
	@touch $@

tests/live/npm/node_modules/.ok: tests/live/npm/package-lock.json
	@echo "setting up a charging station from the npm registry"
	@cd tests/live/npm && npm ci --silent --ignore-scripts --no-audit --no-fund && touch node_modules/.ok \
		|| echo "npm did not install it: not tried"

.venv-%/.ok: pyproject.toml requirements.lock | .venv/.ok
	@echo "setting up .venv-$*"
	@$(BIN)/uv venv -q --clear --no-python-downloads --python python$* .venv-$*
	@$(BIN)/uv pip sync -q --require-hashes --python .venv-$*/bin/python requirements.lock
	@touch $@
