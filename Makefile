# Two commands on a fresh machine with Python >= 3.11, venv and make:  make demo,  make test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt
EXTRAS := plot,polars,duckdb,lifetimes,progress
TOUR := polars,lifetimes
export PIP_BUILD_CONSTRAINT := constraints.txt

.PHONY: demo test lint types docs wheel bench clean

demo: $(VENV)/.demo  ## Install, and run the tour on real data
	$(BIN)/python -m opsmetrics $(wildcard ../shared/data/online_retail.parquet ../shared/data/hillstrom.parquet)

test: $(VENV)/.test  ## Install the test group, and run the whole suite
	$(BIN)/python -m pytest --numprocesses=auto

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.test
	$(BIN)/python -m mypy

docs: $(VENV)/.docs  ## Build the documentation, strictly
	$(BIN)/zensical build --strict --clean

wheel: $(VENV)/.lint  ## Build the wheel, look inside it, and use it in an empty environment
	$(BIN)/python tests/wheel_check.py

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

$(VENV)/.pip:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'opsmetrics needs Python 3.11 or newer')"
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip
	touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml constraints.txt
	$(INSTALL) --editable ".[$(TOUR)]"
	touch $@

$(VENV)/.test: $(VENV)/.pip pyproject.toml constraints.txt
	$(INSTALL) --editable ".[$(EXTRAS)]" --group test
	touch $@

$(VENV)/.lint: $(VENV)/.pip pyproject.toml constraints.txt
	$(INSTALL) --group lint
	touch $@

$(VENV)/.docs: $(VENV)/.test
	$(INSTALL) --group docs
	touch $@

$(VENV)/.bench: $(VENV)/.test
	$(INSTALL) --group benchmark
	touch $@

clean:
	rm -rf $(VENV) build dist site .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
