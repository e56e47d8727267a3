# Everything a newcomer needs: make demo, make test, make ui.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)

.PHONY: setup demo ui test lint types chromium

setup: $(VENV)/ready

# uv installs the same packages as pip, many times faster.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
		--editable '.[dev,s3]'
	touch $@

demo: setup
	$(BIN)/exvideo demo --preset tiny

ui: setup
	$(BIN)/exvideo up --preset tiny

test: setup chromium
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

# The UI tests look at the real pages in a real browser.
chromium:
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	else echo "There is no chromium on the PATH: install it, or the UI tests are skipped."; fi
