# Everything a newcomer needs: make demo, make test, make ui.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)


# Beside `dev`, as pyproject.toml names them: `make setup EXTRAS=cuda,s3` on a machine with GPUs.
EXTRAS := $(or $(shell cat $(VENV)/extras 2>/dev/null),s3)

.PHONY: setup flash demo ui test lint types test-deployment docs audit nginx postgres chromium FORCE

setup: $(VENV)/ready

# uv installs the same packages as pip, many times faster.
$(VENV)/ready: pyproject.toml constraints.txt $(VENV)/extras
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
		--editable '.[dev$(EXTRAS:%=,%)]'
	touch $@

# Written only when the list changes, which then installs anew.
$(VENV)/extras: FORCE
	@mkdir -p $(VENV)
	@echo '$(EXTRAS)' | cmp -s - $@ || echo '$(EXTRAS)' > $@

# The package flash-attn, for `attention: flash_attn`. It builds with CUDA's compiler and against
# the torch that is installed, which an isolated build would not see.
flash: setup
	$(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt \
		--no-build-isolation --editable '.[flash]'

demo: setup
	$(BIN)/exvideo demo --preset tiny

ui: setup
	$(BIN)/exvideo up --preset tiny

test: setup chromium nginx
	$(BIN)/python -m pytest

# The compose file's services on this machine walk a small road: minutes of two cores.
test-deployment: setup nginx postgres
	$(BIN)/python -m pytest -n 0 -m services -s tests/deployment

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

# The guide as a site in site/; a broken link fails (with --quiet it would not).
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "the guide is in site/index.html"

# Known vulnerabilities of the pinned packages. Where nobody answers it fails, too: silence about
# what was not asked would read as none.
audit: setup
	$(BIN)/python -m deployment.audit

# Debian's packages that some tests start: a folder or file that is there once they are installed,
# their names.
define debian
	@if [ -e $(1) ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $(2); \
	else echo "Install $(2), or the tests that start it are skipped."; fi
endef

nginx:
	$(call debian,/usr/sbin/nginx,nginx-light openssl)

postgres:
	$(call debian,/usr/lib/postgresql,postgresql)

# The UI tests look at the real pages in a real browser.
chromium:
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	else echo "There is no chromium on the PATH: install it, or the UI tests are skipped."; fi
