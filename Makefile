# MetaRep. A fresh machine needs Python 3.11 or newer (with venv), make and git; everything else is pinned in requirements.txt.

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PORT ?= 8000
SITE := _build/html
STAGE := @scripts/stage
# Pages are always written afresh, since a page keeps the numbers it quotes from a chapter that has changed. Chapters run
# only when their code, the library or a pin has changed.
BUILD := env OMP_NUM_THREADS=1 sh -c 'rm -rf $(SITE) _build/.doctrees && $(BIN)/jupyter-book build . -q -W -n --keep-going'

# One thread each: the matrices are small, and threads that wait for one another cost more than they bring.
PYTEST := env OMP_NUM_THREADS=1 $(PY) -m pytest -q
NOTEBOOKS := -n 2 --dist loadfile --nbval --nbval-current-env --nbval-sanitize-with tests/nbval-sanitize.cfg

# The kernels get a profile of their own: no start-up files of the user, no notice about local sockets.
export IPYTHONDIR := $(CURDIR)/_build/ipython
PROFILE := _build/ipython/profile_default/ipython_kernel_config.py

.PHONY: help venv book figures picture test colab sweeps weights bench serve zip clean

help:  ## show this help
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 16

venv: .venv/stamp  ## make .venv with the pinned packages

.venv/stamp: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(PY) -m pip install -q --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(PROFILE):
	@mkdir -p $(@D)
	@echo 'c.IPKernelApp.log_level = 40  # errors only' > $@

book: .venv/stamp $(PROFILE)  ## run the chapters, build the site, write the notebooks beside the chapters
	$(STAGE) "Execute the chapters and build the site" $(BUILD)
	$(STAGE) "Write the notebooks" $(PY) scripts/write_pairs.py
	@echo; echo "Read it: file://$(CURDIR)/$(SITE)/index.html  (or: make serve)"

figures: book  ## build, then save every figure as _build/figures/NAME.png (one alone: make figures NAME=fig-route-a)
	$(PY) scripts/figures.py $(NAME)

picture: book  ## build, then make the picture of the README from the landing page's figure
	$(PY) scripts/figures.py fig-headline --to book/_static/metarep.png

# A measurement that does not hold stops who checks, never who reads.
test: export METAREP_CLAIMS := strict
test: .venv/stamp $(PROFILE)  ## check everything
	$(STAGE) "Lint the book" $(PY) scripts/lint_book.py
	$(STAGE) "Unit tests" $(PYTEST) -n 2 --dist worksteal
	$(STAGE) "Examples in the library's docstrings" $(PYTEST) --doctest-modules metarep_lib
	$(STAGE) "Build the site, warnings are errors" $(BUILD)
	$(STAGE) "Follow every link of the site" $(PY) scripts/check_links.py
	$(STAGE) "The notebooks are those of the chapters" $(PY) scripts/check_pairs.py
	$(STAGE) "Run the notebooks again and compare" $(PYTEST) $(NOTEBOOKS) book
	$(STAGE) "Run a notebook as Colab would" $(PY) scripts/check_colab.py kernel-ridge
	$(STAGE) "Look at every page in a browser" $(PY) scripts/check_site.py
	@echo; echo "Everything passed."

colab: .venv/stamp $(PROFILE)  ## run every notebook as Colab would: in an empty folder, with the library and Colab's packages alone
	$(STAGE) "Run the notebooks as Colab would" $(PY) scripts/check_colab.py

sweeps: .venv/stamp  ## run every sweep of sweeps/ again (only those whose file is removed: rm metarep_lib/sweeps/NAME.json)
	@for sweep in $(basename $(notdir $(wildcard sweeps/*.py))); do \
	  test -f metarep_lib/sweeps/$$sweep.json || OMP_NUM_THREADS=1 $(PY) scripts/sweep.py $$sweep || exit 1; done
	@test -f metarep_lib/sweeps/blind-identification.json || OMP_NUM_THREADS=1 $(PY) scripts/identify.py

weights: .venv/stamp  ## train every network of training/ again (only those whose file is removed: rm metarep_lib/weights/NAME-SEED.safetensors)
	@for recipe in $(basename $(notdir $(wildcard training/*.toml))); do for seed in 0 1 2; do \
	  test -f metarep_lib/weights/$$recipe-$$seed.safetensors || \
	  OMP_NUM_THREADS=1 $(PY) scripts/train.py training/$$recipe.toml --seed $$seed || exit 1; done; done

bench: .venv/stamp  ## time and memory of the networks beside other solvers (seven minutes on an idle machine)
	@$(PY) -m benchmarks.run

serve: book  ## build, then serve the site on http://localhost:8000 (PORT=...)
	$(PY) -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

zip: book  ## build, then pack the site into one file to read without a network
	$(PY) scripts/make_zip.py

clean:  ## remove all that was built, the stored outputs of the chapters included; keep .venv
	rm -rf _build build *.egg-info .pytest_cache .hypothesis
