# Everything runs in .venv, which the targets make for themselves; Python 3.11 or newer and pip are enough.
#
#   make demo        index a few photographs and search them
#   make test        the everyday tests, on all cores; installs Chromium and PostgreSQL where they are missing
#   make test-all    the long ones too: kills, deep property tests, Ray, the whole page in a browser
#   make lint types docs
#   make reference   write docs/cli.md anew from the commands' help
#   make bench       measure everything and write docs/benchmarks.md (DATA as below, REFERENCE=mini in fp32)
#   make evaluate    measure mini in every way (DATA as below; OUTPUT=docs writes the report and plots there)
#   make train-mini  train the bundled model again (DATA=folder of the training photos)
#   make finetune-demo  what fine-tuning on stamps brings, killed and resumed (DATA as below; MODEL, STYLE: docs/training.md)
#   make calibrate   fit what counts as a match again (DATA as above)
#   make clean       remove the environment and every cache

PYTHON ?= python3
DATA ?= ../shared/data
VENV := .venv
# Windows keeps a virtual environment's programs in Scripts
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all services lint types docs reference bench evaluate train-mini finetune-demo calibrate clean

help:
	@sed -n 's/^#   //p' Makefile

venv: $(VENV)/.installed-dev

# one stamp per set of extras: an install is repeated only when pyproject.toml is newer
$(VENV)/.installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing clipsearch into $(VENV) (a minute the first time)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-demo: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing clipsearch and the demo's photographs into $(VENV) (a minute the first time)"
	@$(PIP) --editable '.[demo]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-lint: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) 'ruff>=0.6'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing clipsearch with its development tools into $(VENV) (several minutes the first time)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-demo $(VENV)/.installed-lint

$(VENV)/.installed-train: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing clipsearch with what training needs into $(VENV) (several minutes the first time)"
	@$(PIP) --editable '.[train,evaluate,demo]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed-demo
	@$(BIN)/clipsearch demo

test: $(VENV)/.installed-dev services
	$(BIN)/python -m pytest --numprocesses auto -m "not long"

test-all: $(VENV)/.installed-dev services
	$(BIN)/python -m pytest --numprocesses auto

# what the tests run against besides Python packages; each script says in one line what it cannot install
services:
	@tests/browser/install_chromium.sh
	@tests/postgres/install_postgresql.sh

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# the documents against the code: what the README shows runs, every file and command it names exists
docs: $(VENV)/.installed-dev
	$(BIN)/python -m clipsearch.cli.reference --check docs/cli.md
	$(BIN)/python -m pytest tests/test_docs.py tests/test_readme.py

reference: $(VENV)/.installed
	$(BIN)/python -m clipsearch.cli.reference docs/cli.md

bench: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks --output docs $(if $(wildcard $(DATA)/flickr8k),--data $(DATA)) \
		$(if $(REFERENCE),--reference $(REFERENCE))

evaluate: $(VENV)/.installed-train
	$(BIN)/python -m clipsearch.training.mini.evaluate --data $(DATA) $(if $(OUTPUT),--output $(OUTPUT))

train-mini: $(VENV)/.installed-train
	$(BIN)/python -m clipsearch.training.mini.recipe --data $(DATA) --output data/models/mini

finetune-demo: $(VENV)/.installed-train
	$(BIN)/python -m clipsearch.training.demo --data $(DATA) --output build/finetune-demo \
		$(if $(MODEL),--model $(MODEL)) $(if $(STYLE),--style $(STYLE))

calibrate: $(VENV)/.installed-train
	$(BIN)/python -m clipsearch.training.mini.calibrate --data $(DATA) --output data/calibration
	$(BIN)/python -m clipsearch.training.mini.tags --data $(DATA) --output data/calibration

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find clipsearch indexer ui tests -name __pycache__ -type d -prune -exec rm -rf {} +
