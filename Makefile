# Commands of the README. `make` alone lists them.

PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 1)
PYTEST_ARGS ?=

VENV := .venv/bin
# Programs of .venv find each other (snakefmt calls shfmt). Only in the recipes that use it: set-up
# itself must run under a Python that it does not replace.
IN_VENV := PATH="$(CURDIR)/$(VENV):$$PATH"
BOOTSTRAP := $(PYTHON) scripts/setup/bootstrap.py

# Work from an empty environment, and do not let another Python leak in.
export PATH := $(CURDIR)/.tools/bin:$(or $(PATH),/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
export LC_ALL := C.UTF-8
export MPLBACKEND := Agg
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help setup venv demo test lint format real benchmark-accuracy lock clean

help:  ## list the commands
	@echo "Fermentome. Commands:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | \
	    while IFS='|' read -r name text; do printf '%-18s %s\n' "$$name" "$$text"; done
	@echo "Settings: CORES=n, PYTHON=python3.12, FERMENTOME_TOOLS=auto|path|conda|apt, PYTEST_ARGS=..."
	@echo "Own samples: edit config/, then .venv/bin/snakemake --cores n (make setup prints the exact call)"

setup:  ## make .venv from the lock and find or install the tools
	@$(BOOTSTRAP) setup

venv:
	@$(BOOTSTRAP) venv

demo: setup  ## run the embedded examples, reads and a cohort, and compare with the truth
	@args=$$($(BOOTSTRAP) snakemake-args) && \
	    $(IN_VENV) $(VENV)/python scripts/setup/demo.py --cores $(CORES) -- $$args

test:  ## set up and run the tests
	@$(BOOTSTRAP) setup --for test
	$(IN_VENV) $(VENV)/python -m pytest -q $(PYTEST_ARGS)

lint: venv  ## check form, types and workflow
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/mypy --strict scripts/setup/bootstrap.py scripts/setup/demo.py scripts/setup/lint_workflow.py
	$(IN_VENV) $(VENV)/snakefmt --check Snakefile workflow
	$(IN_VENV) $(VENV)/python scripts/setup/lint_workflow.py
	$(IN_VENV) PYTHONPATH=scripts $(VENV)/python -m fermentome lint

format: venv  ## put the code into form
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .
	$(IN_VENV) $(VENV)/snakefmt Snakefile workflow

real: setup  ## run the real stool samples, where the data is at hand
	$(IN_VENV) $(VENV)/python benchmarks/real/run.py

benchmark-accuracy: setup  ## measure how right the calls are, where the data is at hand
	$(IN_VENV) $(VENV)/python benchmarks/accuracy/run.py --threads $(CORES)

lock:  ## renew requirements/*.lock (UPGRADE=1: newest versions)
	PYTHON=$(PYTHON) sh requirements/compile.sh $(if $(UPGRADE),--upgrade)

clean:  ## delete .venv, .tools, demo and caches that these commands made
	@$(BOOTSTRAP) clean
