# `make demo` sets everything up, builds the demo and recommends from it; `make test` runs the tests; `make check` adds lint, types, layers.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TEST_ARGS ?=
# Files of tests at a time; a file's tests stay together, as they share what is built once for the file,
# in the order of tests/conftest.py: the longest files first.
TEST_WORKERS ?= 2

.PHONY: setup demo test check lint lock clean
.DEFAULT_GOAL := setup

setup: $(READY)

# uv installs in 26 s what takes pip 284 s (measured 2026-11-22). It does not read pip's find-links, so they are passed on;
# where uv cannot be had or fails, pip does the same under the same constraints. Bytecode is compiled here, as pip does
# and uv does not unless told: where PYTHONDONTWRITEBYTECODE is set, as in many containers, every command would compile
# its imports anew (measured 2026-11: `mediateca plan` 1.5 s against 0.8 s).
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mediateca needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	links="$${PIP_FIND_LINKS:-$$($(BIN)/python -m pip config get global.find-links 2>/dev/null || true)}"; \
	if $(BIN)/python -m pip install -q -c constraints.txt uv && \
	   UV_FIND_LINKS="$$(echo $$links | tr ' ' ',')" VIRTUAL_ENV=.venv $(BIN)/uv pip install --compile-bytecode -c constraints.txt -e '.[dev]'; then :; else \
	   echo "uv failed; installing with pip, which takes minutes"; \
	   $(BIN)/python -m pip install -c constraints.txt -e '.[dev]'; fi
	$(BIN)/python -m compileall -q storage connectors featurizers expectations training tasks flows deployments
	touch $(READY)

demo: setup
	$(BIN)/mediateca build demo
	$(BIN)/mediateca train demo
	$(BIN)/mediateca recommend demo lastfm:user_000001 -k 5

test: setup
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	! grep -nE '(file:|path = "/|url = "/|\+cpu)' uv.lock
	$(BIN)/uv export --quiet --frozen --no-hashes --no-emit-project --all-extras --no-annotate --no-header | diff - constraints.txt

check: lint test

# Without find-links: with them the lock would hold a local path and a CPU-only torch.
lock: setup
	env -u UV_FIND_LINKS -u PIP_FIND_LINKS $(BIN)/uv lock
	$(BIN)/uv export --quiet --frozen --no-hashes --no-emit-project --all-extras --no-annotate --no-header > constraints.txt

clean:
	rm -rf .venv .mediateca
