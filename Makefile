# `make demo` and `make test` are each the only command a fresh machine with
# python3, git and make needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST_ARGS ?=
# What tests use of tools/programs.py.
PROGRAMS := gitea npm-packages kubeconform kustomize helm conftest actionlint

.PHONY: demo test lint docs lock clean

demo: $(READY)
	@$(BIN)/promoter demo

test: $(READY) lint
	@tools/system-packages.sh
	@$(BIN)/python tools/programs.py $(PROGRAMS)
	$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "promoter needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

docs: $(READY)
	$(BIN)/python docs/generate.py

# Needs uv; run after a change of the dependencies in pyproject.toml.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
		--group dev --upgrade pyproject.toml -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade pyproject.toml -o requirements/runtime.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade --group release -o requirements/release.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
