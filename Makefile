# One command per wish. `make` alone says which.

PY ?= python3.11
BIN := .venv/bin
ONCE ?=
ONLY ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check bench charts lock

help:  ## say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: .venv/.ok  ## two operators, four stations, one roaming transaction; ONCE=1 ends after its charge record
	@$(BIN)/python node.py demo $(if $(ONCE),--once)

test: .venv/.ok  ## every test, on two cores
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup

check: .venv/.ok  ## style, types, the rules of the house, stale pages, sizes of functions
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python node.py charts --check
	@$(BIN)/python -m pytest -q tests/unit/test_house.py
	@$(BIN)/python -m tests.support.sizes

bench: .venv/.ok  ## measure the node, as docs/performance.md tells; ONLY="commits starts" measures some
	@$(BIN)/python -m tests.bench $(ONLY)

charts: .venv/.ok  ## write docs/charts.md and docs/configuration.md anew
	@$(BIN)/python node.py charts

lock: .venv/.ok  ## write requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile -q pyproject.toml --group dev --universal --generate-hashes --no-header -o requirements.lock

.venv/.ok: pyproject.toml requirements.lock
	@command -v $(PY) >/dev/null || { \
		echo "roamnode needs Python 3.11, and there is no $(PY) here: install it, or name one: make PY=/path/to/python3.11" >&2; \
		exit 1; }
	@echo "setting up .venv"
	@$(PY) -m venv .venv || { echo "$(PY) cannot make a virtual environment (on Debian: python3.11-venv)" >&2; exit 1; }
	@.venv/bin/python -m pip install -q --disable-pip-version-check uv==0.13.9
	@.venv/bin/uv pip sync -q --require-hashes --python .venv/bin/python requirements.lock
	@touch $@
