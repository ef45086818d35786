# The README's two commands, each with all of its own set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench clean

demo: $(READY)
	$(BIN)/narrows demo

# two processes of one thread: the nets of the tests are too small for two threads each
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

# pyright is not in `make test`: it fetches its own program from the npm registry
lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(READY)
	$(BIN)/python -m pip install --quiet -e '.[bench]' -c constraints.txt
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/precision.py
	$(BIN)/python benchmarks/streaming.py
	$(BIN)/python benchmarks/text.py
	$(BIN)/python benchmarks/convolutional.py
	$(BIN)/python benchmarks/lookup.py

# torch is pinned by the constraints: an open range would fetch gigabytes that are not needed
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=24'
	$(BIN)/python -m pip install --quiet -e '.[dev]' -c constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis narrows-demo
