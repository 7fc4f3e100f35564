# MetaRep. A fresh machine needs Python 3.11.5 or newer (with venv) and make; everything else is pinned in requirements.txt.

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PORT ?= 8000
SITE := _build/html
STAGE := @sh scripts/stage
# Pages are always written afresh, since a page keeps the numbers it quotes from a chapter that has changed. A chapter runs
# only when its code, what it reaches of the library or a pin has changed (book/_ext/execution_cache.py).
BUILD := env OMP_NUM_THREADS=1 sh -c 'rm -rf $(SITE) _build/.doctrees && $(BIN)/jupyter-book build . -q -W -n --keep-going'

# One thread each: the matrices are small, and threads that wait for one another cost more than they bring.
PYTEST := env OMP_NUM_THREADS=1 $(PY) -m pytest -q
NOTEBOOKS := -n 2 --dist loadfile --nbval --nbval-current-env --nbval-sanitize-with tests/nbval-sanitize.cfg

FLOORS := _build/floors
FLOORS_PYTEST := env OMP_NUM_THREADS=1 $(FLOORS)/bin/python -m pytest -q
OF_SITE := tests/book tests/repository

# The book depends neither on the locale nor on what the user has set up: text is UTF-8, and configuration and caches lie here.
# The home folder need not be writable. Compiled code is kept, or every process compiles the library anew. The kernels' profile says nothing about local sockets.
export PYTHONUTF8 := 1
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
export IPYTHONDIR := $(CURDIR)/_build/ipython
export JUPYTER_CONFIG_DIR := $(CURDIR)/_build/jupyter
export JUPYTER_DATA_DIR := $(CURDIR)/_build/jupyter
export MPLCONFIGDIR := $(CURDIR)/_build/matplotlib
PROFILE := _build/ipython/profile_default/ipython_kernel_config.py

.PHONY: help always venv book figures picture ledger test full portability mutants folded-mutants kills line-up bad-inputs setup-check floors colab sweeps weights bench serve zip clean

help:  ## show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 16

venv: .venv/stamp  ## make .venv with the pinned packages

.venv/stamp: always
	@$(PYTHON) scripts/make_venv.py $(if $(filter-out file,$(origin PYTHON)),--named)

$(PROFILE): | .venv/stamp
	@mkdir -p $(@D)
	@$(PY) -c 'import matplotlib.font_manager' 2>/dev/null  # lists the fonts, which else a chapter does, and says so where there are many
	@echo 'c.IPKernelApp.log_level = 40  # errors only' > $@

book: .venv/stamp $(PROFILE)  ## run the chapters, build the site, write the notebooks beside the chapters
	$(STAGE) "Execute the chapters and build the site" $(BUILD)
	$(STAGE) "Write the notebooks" $(PY) scripts/write_pairs.py
	@echo; echo "Read it: file://$(CURDIR)/$(SITE)/index.html  (or: make serve)"

figures: book  ## build, then save every figure as _build/figures/NAME.png (one alone: make figures NAME=fig-route-a)
	$(PY) scripts/figures.py $(NAME)

picture: book  ## build, then make the picture of the README from the landing page's figure
	$(PY) scripts/figures.py fig-headline --to book/_static/metarep.png

ledger: book  ## build, then list what differs from another revision in claims, records and outputs (REV=main; HEAD when none is named)
	@$(PY) scripts/ledger.py diff $(or $(REV),HEAD)

# A measurement that does not hold stops who checks, never who reads.
test: export METAREP_CLAIMS := strict
test: .venv/stamp $(PROFILE)  ## check everything
	$(STAGE) "Lint the code" $(BIN)/ruff check -q .
	$(STAGE) "The library is formatted" $(BIN)/ruff format --check -q metarep_lib
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

full: test portability mutants kills line-up bad-inputs setup-check colab  ## all that `make test` samples: other arithmetics, every mutant, kills, the whole line-up, every bad input, other set-ups, every notebook in Colab (an hour)

portability: .venv/stamp $(PROFILE)  ## tests and notebooks under other roundings, other kernels and two threads (some: SETTINGS="rounding-1 compatible")
	$(STAGE) "Hold tests and notebooks to other arithmetics" $(PY) scripts/portability.py $(SETTINGS)

mutants: .venv/stamp  ## try every mutant of every constructed network in exact arithmetic
	$(STAGE) "Try every mutant" env OMP_NUM_THREADS=1 $(PY) scripts/mutants.py

folded-mutants: .venv/stamp  ## fold every mutant of every constructed network and hold it to the dense one (two hours; --every 13 samples)
	$(STAGE) "Fold every mutant" env OMP_NUM_THREADS=1 $(PY) scripts/folded_mutants.py

kills: .venv/stamp  ## kill training and sweeps at any moment, go on, compare with a run that nobody killed
	$(STAGE) "Kill runs and go on" env OMP_NUM_THREADS=1 $(PY) scripts/kills.py

line-up: .venv/stamp  ## examine every network of the line-up as a stranger
	$(STAGE) "Examine the line-up" env OMP_NUM_THREADS=1 $(PY) scripts/examine.py

bad-inputs: .venv/stamp  ## call everything announced with every bad input that the rules derive
	$(STAGE) "Try every bad input" $(PYTEST) -n 2 tests/library/every_bad_input.py

setup-check: .venv/stamp  ## set the last commit up as on other machines: locales, line ends, no git, a read-only home, a .venv from elsewhere
	$(STAGE) "Set up as on other machines" $(PY) scripts/setup_check.py

# Without the tests of the site, which need the book's own tools.
floors:  ## run the library's tests on the oldest versions it claims (5 GB in _build/floors; PYTHON=python3.11 or 3.12)
	rm -rf $(FLOORS) && $(PYTHON) -m venv $(FLOORS)
	$(FLOORS)/bin/python -m pip install -q --disable-pip-version-check -r requirements-floors.txt
	$(FLOORS)/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation -e .
	$(STAGE) "Examples in the library's docstrings, oldest versions" $(FLOORS_PYTEST) --doctest-modules metarep_lib
	$(STAGE) "Unit tests, oldest versions" $(FLOORS_PYTEST) -n 2 --dist worksteal $(OF_SITE:%=--ignore=%)

colab: .venv/stamp $(PROFILE)  ## run every notebook as Colab would: in an empty folder, with the library and Colab's packages alone
	$(STAGE) "Run the notebooks as Colab would" $(PY) scripts/check_colab.py

sweeps: .venv/stamp  ## run every sweep of sweeps/ that is not stored (to run one again: rm metarep_lib/sweeps/NAME.json)
	@OMP_NUM_THREADS=1 $(PY) scripts/sweep.py --missing
	@OMP_NUM_THREADS=1 $(PY) scripts/identify.py --missing

weights: .venv/stamp  ## train every network of training/ that is not stored (to train one again: rm metarep_lib/weights/NAME-SEED.json)
	@OMP_NUM_THREADS=1 $(PY) scripts/train.py --missing

bench: .venv/stamp  ## time and memory of the networks beside other solvers (seven minutes on an idle machine)
	@$(PY) -m benchmarks.run

serve: book  ## build, then serve the site on http://localhost:8000 (PORT=...)
	$(PY) -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

zip: book  ## build, then pack the site into one file to read without a network
	$(PY) scripts/make_zip.py

clean:  ## remove all that was built, the stored outputs of the chapters included; keep .venv
	rm -rf _build build *.egg-info .pytest_cache .hypothesis
