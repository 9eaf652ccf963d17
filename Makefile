# Two commands do everything on a fresh machine with Python (3.11 or newer) and make:
#   make report   environment, then the report on data/synthetic, in reports/latest/report.html
#   make test     environment with test tools, lint, types, import contracts, all tests

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCE ?= data/synthetic
OUT    ?= reports/latest

.PHONY: report test clean

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 report"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.tests: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

# Exit code 3 means: done, but rows were rejected. A messy registry always has some, and the report says which.
report: $(VENV)/.runtime
	@$(BIN)/cohort report $(SOURCE) --out $(OUT) --force; code=$$?; \
	if [ $$code -ne 0 ] && [ $$code -ne 3 ]; then exit $$code; fi
	@echo "The report: $(OUT)/report.html"

test: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n auto

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis reports/latest
