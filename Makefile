# make demo | test | check | bench | soak | docs | pages | deb. Each sets up what it needs first; a second time takes no time.
# MICROPYTHON=PATH names another build of the unix port; PYTHON=PATH the Python that .venv is made with.
PATH := $(PATH):/usr/sbin:/sbin
export PATH
PY := .venv/bin/python
ROUNDS ?= 10

.PHONY: demo test check bench soak docs pages deb setup setup-tests lock clean

demo: setup
	@$(PY) -m host_agents.cli.main lab demo

# Side by side, since the lab's tests wait more than they compute; a file stays together, for what its tests share.
test: setup-tests
	@$(PY) -m pytest -q -n 3 --dist loadfile

check: setup
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@tools/types/check.sh

# Some minutes on a machine that does nothing else. BENCH="datapath handoff" for some of them; the JSON file and the plot
# are left in build/.
BENCH ?=
bench: setup
	@tools/setup/packages.sh bench
	@mkdir -p build
	@$(PY) -m host_agents.cli.main bench $(BENCH) --json build/bench.json --plot build/bench.png

# Two million damaged messages at the engines, a thousand storms, the flood, power cuts, ten minutes of roaming on the
# stand-in for a board, a lab of 200 nodes; then the lab's tests ROUNDS times, until one fails.
SEED ?= $(shell date +%s)
soak: setup-tests
	@echo "FUZZ_SEED=$(SEED)"; FUZZ_SEED=$(SEED) FUZZ_EACH=125000 $(PY) -m pytest -q -s --durations=8 tests/engines/test_fuzz*.py
	@STORMS_EACH=250 $(PY) -m pytest -q tests/engines/test_wild_storms.py
	@FLOOD_SECONDS=10 $(PY) -m pytest -q -s tests/runtime/test_flood.py
	@POWER_CUTS=200 POWER_SEED=$(SEED) $(PY) -m pytest -q -s tests/lab/test_restarts.py tests/hil/test_power.py -k power
	@ROAM_SECONDS=600 $(PY) -m pytest -q -s tests/hil/test_registration.py -k heap
	@$(PY) -m host_agents.cli.main trial lab --out build/trial
	@$(PY) -m host_agents.cli.main lab up --nodes 200 --dir build/many >build/many.txt
	@$(PY) -m host_agents.cli.main lab down --dir build/many
	@for round in $$(seq $(ROUNDS)); do echo "round $$round of $(ROUNDS)"; $(PY) -m pytest -q -x tests/lab || exit 1; done

# docs/conformance.md, from the checklist's lines and the names of the tests; docs/metrics.md, from the table of RFC 2006.
docs: setup
	@$(PY) -m tests.conformance
	@$(PY) -m host_agents.web.mib >docs/metrics.md

# Completions and manual pages, as a package installs them below share/.
pages: setup
	@$(PY) -m tools.pages build/share

# build/entourage_VERSION_ARCHITECTURE.deb, for Debian with the Python that .venv has.
deb: setup
	@$(PY) -m tools.package.deb

setup:
	@tools/setup/packages.sh
	@tools/setup/venv.sh
	@tools/setup/bpf.sh

# What only tests run is not asked for by `make demo`.
setup-tests: setup
	@tools/setup/packages.sh tests

lock:
	python3 -m venv build/uv && build/uv/bin/pip install --quiet uv
	build/uv/bin/uv pip compile --no-config --universal --python-version 3.11 \
	  --generate-hashes --all-extras --quiet --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	for port in esp32 unix; do build/uv/bin/uv pip compile --no-config --universal --python-version 3.11 \
	  --generate-hashes --quiet --custom-compile-command "make lock" \
	  -o tools/types/$$port.txt tools/types/$$port.in || exit 1; done

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
