# Every target sets up .venv by itself when it is missing or older than pyproject.toml.
PYTHON ?= python3
ISSUE ?= 3
BUDGET ?=
ARGS ?=
PY := .venv/bin/python

.PHONY: run test check bench faults cheats nightly format clean

run: .venv/installed
	$(PY) agent/run.py --issue $(ISSUE) $(if $(BUDGET),--budget $(BUDGET)) $(ARGS)

test: .venv/installed
	$(PY) -m pytest $(ARGS)

check: .venv/installed
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: .venv/installed
	$(PY) -m bench $(ARGS)

faults: .venv/installed
	$(PY) -m tests.faults $(ARGS)

cheats: .venv/installed
	$(PY) -m tests.cheats

# All tests, those for the night too, then every fault at every moment with many random ones; an hour or two.
nightly: .venv/installed
	$(PY) -m pytest --nightly $(ARGS)
	$(PY) -m tests.faults --rounds 20

format: .venv/installed
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.venv/installed: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 or newer, or name it: make PYTHON=python3.12"; exit 2; }
	@echo "setting up .venv (once; a few minutes on a slow line)"
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
