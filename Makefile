# `make demo` and `make test` are all that a fresh machine needs: each makes the virtual environment it works in.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTHONS ?= python3.11 python3.12 python3.13
# What trl trains with in tests: a build for the CPU. `make trl TORCH=torch` takes the one for GPUs, with gigabytes beside it.
TORCH ?= torch==2.13.0+cpu
# A worker a core, four at the most, each with a file at a time; the files that take longest lie first.
WORKERS ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test trl inspect ray check format bench soak docs matrix clean

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is older: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[local]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[local,dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.trl: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet --editable '.[local,dev,trl]' '$(TORCH)'
	@touch $@

$(VENV)/.inspect: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[local,dev,inspect]'
	@touch $@

$(VENV)/.ray: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[local,dev,ray]'
	@touch $@

# All of them at once, which takes half as long as one after another.
$(VENV)/.ci: $(VENV)/bin/python pyproject.toml
	if $(BIN)/python -m pip install --quiet '$(TORCH)'; then \
		$(BIN)/python -m pip install --quiet --editable '.[local,dev,inspect,ray,trl]' '$(TORCH)' && touch $(VENV)/.trl; \
	else \
		echo "$(TORCH) is not to be had for this Python: tests by trl are skipped"; \
		$(BIN)/python -m pip install --quiet --editable '.[local,dev,inspect,ray]'; \
	fi
	@touch $(VENV)/.demo $(VENV)/.dev $(VENV)/.inspect $(VENV)/.ray $@

demo: $(VENV)/.demo
	@$(BIN)/fellowship models get smollm2-135m
	@$(BIN)/python examples/demo.py

# Processes that tests start find what is compiled, also where the environment says to keep nothing: a second a process.
# CI trains by trl, too, where that build is to be had, reads logs by inspect-ai and plays on Ray; elsewhere these are
# skipped until `make trl`, `make inspect` and `make ray` were called. What takes minutes on Ray is for `make ray` alone.
test: $(VENV)/$(if $(CI),.ci,.dev)
	@$(BIN)/fellowship models get smollm2-135m
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(WORKERS) -m 'not ray_whole'

trl: $(VENV)/.trl
	$(BIN)/python -m pytest -m trl

inspect: $(VENV)/.inspect
	$(BIN)/python -m pytest -m inspect

ray: $(VENV)/.ray
	@$(BIN)/fellowship models get smollm2-135m
	$(BIN)/python -m pytest -m ray

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/bus.py
	$(BIN)/python benchmarks/judge.py
	$(BIN)/python benchmarks/judge.py --uvloop
	$(BIN)/python benchmarks/sdk.py
	$(BIN)/python benchmarks/limits.py
	$(BIN)/python benchmarks/concurrency.py
	$(BIN)/python benchmarks/debates.py
	$(BIN)/python benchmarks/history.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/log.py --uvloop
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/resume.py
	$(BIN)/python benchmarks/tracing.py
	$(BIN)/python benchmarks/measures.py
	$(BIN)/python benchmarks/duplicates.py
	$(BIN)/python benchmarks/viewer.py
	$(BIN)/python benchmarks/pages.py
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/cluster_at_scale.py
	$(BIN)/fellowship bench --faults all --items 2000 --concurrency 128

# A hundred kills; some minutes. SEED=N repeats one.
soak: $(VENV)/.dev
	$(BIN)/python benchmarks/soak.py $(if $(SEED),--seed $(SEED))

docs: $(VENV)/.dev
	$(BIN)/fellowship schema > docs/scenario.schema.json
	$(BIN)/python -m fellowship.scenarios.drawing.gallery docs

# Every Python that is here and that the project supports: each in an environment of its own.
matrix:
	@for python in $(PYTHONS); do \
		$$python --version >/dev/null 2>&1 || { echo "$$python is not here: not tried"; continue; }; \
		$(MAKE) test PYTHON=$$python VENV=.venv-$$(basename $$python) || exit 1; \
	done

clean:
	rm -rf .venv .venv-* build dist runs
