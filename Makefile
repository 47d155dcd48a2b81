# Everything below sets up what it needs in .venv first. `make` alone prints this list.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(if $(shell command -v $(p)),$(p))))
# Which torch: empty takes the default of your platform; TORCH=cpu the small CPU build; TORCH=cu126 and such a CUDA one.
TORCH ?=
ARGS ?=
PY := .venv/bin/python
PIP_INSTALL := $(PY) -m pip install --disable-pip-version-check -q -c constraints.txt \
	$(if $(TORCH),--extra-index-url https://download.pytorch.org/whl/$(TORCH))
# What ARGS=dicom=true needs beside the core.
DICOM := $(if $(findstring dicom=true,$(ARGS)),.venv/.dicom)
# Paths travel in the environment, so that blanks, brackets, commas and quotes in them reach the program unchanged.
export INPUT OUT

.DEFAULT_GOAL := help
.PHONY: help detect classify eda serve track repro test test-slow lint format bench bench-detection clean

help:  ## print this list
	@grep -E '^[a-z-]+:.*  ## ' Makefile | sed -E 's/:.*  ## /\t/' | expand -t 12
	@echo 'variables: INPUT=path  OUT=folder  ARGS="key=value ..."  TORCH=cpu  PYTHON=python3.12'

detect: .venv/.core $(DICOM)  ## find nodules: make detect INPUT=path OUT=folder
	@$(PY) -m detection.detect $${INPUT:+"input=$$INPUT"} $${OUT:+"out=$$OUT"} $(ARGS)

classify: .venv/.core $(DICOM)  ## nodules and cancer probability of every patient, with a report
	@$(PY) -m lungscreen.classify $${INPUT:+"input=$$INPUT"} $${OUT:+"out=$$OUT"} $(ARGS)

eda: .venv/.core  ## one page over a cohort: make eda INPUT=path OUT=folder, or ARGS="lidc=true"
	@$(PY) -m lungscreen.eda $${INPUT:+"input=$$INPUT"} $${OUT:+"out=$$OUT"} $(ARGS)

serve: .venv/.serve  ## upload and look at scans in a browser: make serve ARGS="port=8000 ..."
	@$(PY) -m lungscreen.server $(ARGS)

track: .venv/.track  ## look at trainings with logger=mlflow: make track OUT=folder of the training
	@test -n "$$OUT" && test -f "$$OUT/mlflow.db" || \
		{ echo "no mlflow.db in OUT=$$OUT: name the out= of a training with logger=mlflow" >&2; exit 2; }
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
		.venv/bin/mlflow ui --workers 1 --backend-store-uri "sqlite:///$$(realpath "$$OUT")/mlflow.db" $(ARGS)

repro: .venv/.pipeline  ## the phantom experiment of dvc.yaml, or what of it a change concerns
	@PATH="$$(realpath .venv/bin):$$PATH" dvc repro $(ARGS)

test: .venv/.dev  ## the quick tests
	@$(PY) -m pytest -q -n auto -m "not slow" $(ARGS)

test-slow: .venv/.all  ## the slow tests, with MLflow, DVC, idc-index, ONNX Runtime, OpenVINO, Jupyter kernels (800 MB)
	@$(PY) -m pytest -q -n auto -m slow $(ARGS)

lint: .venv/.dev  ## ruff, mypy --strict, the layers
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: .venv/.dev  ## let ruff put the code in order
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench-detection: .venv/.core  ## real nodules, hybrids, masses, phantoms: make bench-detection ARGS="compact-v6 ..."
	@for bench in context hybrid masses phantoms; do \
		$(PY) -m benchmarks.$$bench $(if $(ARGS),$(ARGS),compact-v6) || exit; done

bench: .venv/.core  ## speed and memory, DICOM to candidates
	@$(PY) -m benchmarks.speed $(if $(INPUT),"$$INPUT") $(ARGS)

clean:  ## remove the environment and what tools left
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/.core: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP_INSTALL) -e .
	@touch $@

.venv/.dicom: .venv/.core
	$(PIP_INSTALL) -e '.[dicom]'
	@touch $@

.venv/.dev: .venv/.core
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@

.venv/.serve: .venv/.core
	$(PIP_INSTALL) -e '.[serve]'
	@touch $@

.venv/.track: .venv/.core
	$(PIP_INSTALL) -e '.[track]'
	@touch $@

.venv/.pipeline: .venv/.core
	$(PIP_INSTALL) -e '.[pipeline]'
	@touch $@

.venv/.all: .venv/.dev
	$(PIP_INSTALL) -e '.[dev,browser,download,notebook,onnx,openvino,pipeline,track]'
	@touch $@
