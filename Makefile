# `make demo` and `make test` set everything up on a fresh machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: demo test check clean

demo: $(VENV)/core
	$(BIN)/osteoscreen demo --out osteoscreen-demo

test: check
	$(BIN)/python -m pytest --cov --cov-report=term

check: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/core: requirements/core.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --requirement requirements/core.txt
	$(PIP) --no-deps --editable .
	touch $@

$(VENV)/test: $(VENV)/core requirements/test.txt
	$(PIP) --requirement requirements/test.txt
	touch $@

clean:
	rm -rf $(VENV) osteoscreen-demo .mypy_cache .pytest_cache .ruff_cache .coverage
