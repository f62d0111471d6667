# Everything happens in $(VENV); nothing but Python (3.10 or newer, with venv) is needed beforehand.
PYTHON ?= python3
VENV ?= .venv
OLDEST ?= .venv-oldest
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
RUN := OMP_WAIT_POLICY=passive $(BIN)/python -m
BENCHMARKS := $(addprefix bench-,attention cka kernels keypoints video neighbours objects reading)

.PHONY: demo demo-real test golden fuzz kill executors browser oldest lint docs docs/cli.md docs/results.md docs/zoo.md docs/corpus corpus bench $(BENCHMARKS) check check-example check-wheel clean

demo: $(VENV)/.installed  ## six ways to train one tiny ViT, compared: a table and pictures in results/
	$(BIN)/vitan demo --output results

demo-real: $(VENV)/.demo  ## a real model on real photographs
	$(BIN)/vitan run attention attention-maps --model saliency-S14 --dataset samples --output results

test: $(VENV)/.dev  ## the default tests, a few minutes on two cores
	$(RUN) pytest -n 2 --dist worksteal

golden: $(VENV)/.dev  ## only the comparison with the published code's numbers (VITAN_GOLDEN=DIR for another set)
	$(RUN) pytest -m golden

fuzz: $(VENV)/.dev  ## many damaged and hostile inputs, each read or refused by name; prints counts (FUZZ_SEED=N for others)
	$(RUN) pytest -m fuzz tests/fuzz

kill: $(VENV)/.dev  ## many runs that are killed and gone on with; prints counts (KILL_SEED=N for other moments)
	$(RUN) pytest -m kill tests/kill

executors: $(VENV)/.dev  ## Dask and Ray against one process: the same bits, whatever is killed
	$(RUN) pytest -m executors tests/executors

browser: $(VENV)/.dev  ## reports in Chromium, where that is installed: pointer, keyboard, no request, axe-core
	$(RUN) pytest -m browser -rs tests/core/reports

oldest:  ## the default tests with the oldest libraries that setup.cfg allows, in an environment of their own
	$(PYTHON) -m venv $(OLDEST)
	$(PYTHON) tests/oldest.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --constraint $(OLDEST)/constraints.txt --editable '.[dev]'
	OMP_WAIT_POLICY=passive $(OLDEST)/bin/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.dev  ## style and types
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

docs: $(VENV)/.docs  ## the site, in build/site; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

docs/cli.md: $(VENV)/.installed  ## the reference of the command line, from the commands
	$(BIN)/python docs/write_cli.py

docs/results.md: $(VENV)/.installed  ## columns and metrics, from the specs
	$(BIN)/python docs/write_results.py

docs/zoo.md: $(VENV)/.installed  ## the tiny models, from their cards
	$(BIN)/python docs/write_zoo.py

docs/corpus: $(VENV)/.installed  ## the tables in pages, from the records of the corpus
	$(BIN)/python docs/write_corpus.py

corpus: $(VENV)/.demo  ## the corpus itself: every analysis of the models that come with vitan; half an hour on two cores
	$(BIN)/python docs/write_corpus.py --run

bench: $(BENCHMARKS)  ## what the analyses cost, or one with bench-NAME; prints ratios, asserts nothing

$(BENCHMARKS): bench-%: $(VENV)/.dev
	$(RUN) benchmarks.$*

check: lint test executors browser docs check-example check-wheel  ## all that must hold before a change lands

check-example: $(VENV)/.dev $(VENV)/.demo  ## the example plugin's own tests
	cd examples/vitan-saliency && OMP_WAIT_POLICY=passive $(abspath $(BIN))/python -m pytest

check-wheel: $(VENV)/.dev  ## the wheel, installed beside a third party's, and run from an empty folder
	$(RUN) pytest -m install
	sh tests/smoke.sh "$(PYTHON)" "$(BIN)"

clean:
	rm -rf $(VENV) build dist results *.egg-info

$(VENV)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.demo: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet ./examples/vitan-saliency
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@
