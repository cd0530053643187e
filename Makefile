# Everything runs in .venv, which the targets make for themselves; Python 3.11 or newer and pip are enough.
#
#   make demo        index a few photographs and search them
#   make test        the everyday tests, on all cores; installs Chromium and PostgreSQL where they are missing
#   make test-all    the long ones too: kills, deep property tests, Ray, the whole page in a browser
#   make test-default  the default install in an environment of its own: commands and page, with nothing of the extras
#   make lint types docs
#   make docs-site   build the manual as a site in build/site; broken links are errors
#   make reference   generate docs/cli.md from the help of the commands
#   make screenshots take the pictures of the manual again: a terminal session, the page in Chromium
#   make bench       measure everything and write docs/benchmarks.md (DATA as below, REFERENCE=mini in fp32)
#   make evaluate    measure mini in every way (DATA as below; OUTPUT=docs writes the report and plots there)
#   make train-mini  train the bundled model again (DATA=folder of the training photos)
#   make finetune-demo  what fine-tuning on stamps brings, killed and resumed (DATA as below; MODEL, STYLE: docs/training.md)
#   make video-heads-demo  what temporal heads learn from clips made of photos (DATA as above; docs/training.md)
#   make calibrate   fit what counts as a match again (DATA as above)
#   make clean       remove the environment and every cache

PYTHON ?= python3
DATA ?= ../shared/data
VENV := .venv
# Windows keeps a virtual environment's programs in Scripts
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# the tests start hundreds of processes, each of which would compile every module again
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all test-default services lint types docs docs-site reference screenshots bench evaluate train-mini finetune-demo video-heads-demo calibrate clean

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

# the default install, the demo's photographs and what runs tests; nothing else
$(VENV)-default/.installed: pyproject.toml
	@test -x $(VENV)-default/$(notdir $(BIN))/python || $(PYTHON) -m venv $(VENV)-default
	@echo "installing clipsearch without its extras into $(VENV)-default (a minute the first time)"
	@$(VENV)-default/$(notdir $(BIN))/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]' \
		'playwright>=1.48' 'pytest>=8.2' 'pytest-timeout>=2.3' 'pytest-xdist>=3.6'
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

test-default: $(VENV)-default/.installed services
	$(VENV)-default/$(notdir $(BIN))/python -m pytest tests/e2e/test_default_install.py tests/browser/test_walk.py

# what the tests run against besides Python packages; each script says in one line what it cannot install
services:
	@tests/browser/install_chromium.sh
	@tests/postgres/install_postgresql.sh

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# the documents against the code: examples run, links lead somewhere, every file and command that is named exists
docs: $(VENV)/.installed-dev docs-site
	$(BIN)/python -m clipsearch.cli.reference --check docs/cli.md
	$(BIN)/python -m pytest tests/test_docs.py tests/test_readme.py

docs-site: $(VENV)/.installed-dev
	$(BIN)/python -m zensical build --strict

reference: $(VENV)/.installed
	$(BIN)/python -m clipsearch.cli.reference docs/cli.md

screenshots: $(VENV)/.installed-dev services
	$(BIN)/python -m tests.terminal_session docs/screenshots/terminal.svg
	CLIPSEARCH_SCREENSHOTS=build/screenshots $(BIN)/python -m pytest --basetemp=/tmp/pictures tests/browser
	for picture in docs/screenshots/*.png; do cp "build/screenshots/$${picture##*/}" docs/screenshots; done

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

video-heads-demo: $(VENV)/.installed-train
	OMP_NUM_THREADS=1 $(BIN)/python -m clipsearch.training.video.experiment --data $(DATA) --output build/video-heads

calibrate: $(VENV)/.installed-train
	$(BIN)/python -m clipsearch.training.mini.calibrate --data $(DATA) --output data/calibration
	$(BIN)/python -m clipsearch.training.mini.tags --data $(DATA) --output data/calibration

clean:
	rm -rf $(VENV) $(VENV)-default build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find clipsearch indexer ui tests -name __pycache__ -type d -prune -exec rm -rf {} +
