# The workbench. On a fresh Debian it needs git, make and Python 3.11 or newer; the rest it fetches.

UV_VERSION = 0.13.9
# The first Python on this machine that is new enough, or nothing.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
# More arguments for the program that a target runs: make test ARGS="-k squid"
ARGS ?=
# Squid and named live in sbin, which only root has on its PATH.
export PATH := $(PATH):/usr/sbin

UV = .uv/bin/uv
READY = .venv/.ready
BIN = .venv/bin
SOURCES = agent dashboard rules tests benchmarks

.PHONY: help setup demo test check servers format bench fuzz screenshots clean
.DELETE_ON_ERROR:

help:  ## Show what there is to do
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(READY)  ## Write a demo company to ./demo-company, scan its logs, open the dashboard
	$(BIN)/sundial demo $(ARGS)

test: check servers  ## Check the code, then run every test (ARGS="-k squid" picks some)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY)  ## Lint, formatting and types
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

format: $(READY)  ## Put code and app entries in their one format
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/sundial check --fix --rules rules

bench: $(READY)  ## Time a scan beside other programs, then the dashboard (benchmarks/README.md)
	$(BIN)/python -m benchmarks.scan $(ARGS)
	$(BIN)/python -m benchmarks.dashboard
	$(BIN)/python -m benchmarks.catalogue
	$(BIN)/python -m benchmarks.identity --scan

fuzz: $(READY)  ## Feed damaged logs and captures to the readers, a minute each (tests/fuzz.py)
	$(UV) sync --locked --quiet --group fuzz --python .uv/bin/python
	for target in lines packets; do $(BIN)/python -m tests.fuzz $$target -max_total_time=60 || exit; done

screenshots: $(READY) servers  ## Take the pictures of README from a demo company
	$(BIN)/python -m tests.screenshots $(ARGS)

setup: $(READY)  ## Only set up .venv

clean:  ## Remove what make set up and tools left behind
	rm -rf .uv .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist

# Exactly what uv.lock says, dev tools included.
$(READY): uv.lock pyproject.toml | $(UV)
	$(UV) sync --locked --quiet --compile-bytecode --python .uv/bin/python
	@touch $@

# Debian splits venv from Python: without python3-venv the first attempt fails.
$(UV):
	@test -n "$(PYTHON)" || { echo "Sundial needs Python 3.11 or newer on PATH." >&2; exit 1; }
	$(PYTHON) -m venv .uv || { rm -rf .uv && .ci/apt-install python3-venv && $(PYTHON) -m venv .uv; }
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Program and the Debian package that brings it. A page without a font has no text.
PROGRAMS = chromium:chromium chromium:fonts-liberation squid:squid named:bind9 dnsmasq:dnsmasq-base
# Library and package: what compiles the filter of a capture.
LIBRARIES = pcap:libpcap0.8

servers: $(READY)
	@missing=$$(for pair in $(PROGRAMS); do \
		command -v $${pair%%:*} >/dev/null || echo $${pair#*:}; done; \
		for pair in $(LIBRARIES); do \
		$(BIN)/python -c "from ctypes.util import *; exit(find_library('$${pair%%:*}') is None)" || \
			echo $${pair#*:}; done); \
	test -z "$$missing" || .ci/apt-install $$missing || \
		echo "Tests that need" $$missing "are skipped (with CI=true they fail)." >&2
