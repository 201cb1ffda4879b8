# The two commands of a newcomer: `make demo` and `make test`. Each sets up its own environment once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TRAINERS_VENV ?= .venv-trainers
TRAINERS_READY := $(TRAINERS_VENV)/.ready

.PHONY: demo test check test-trainers bench docs clean

demo: $(READY)  ## start everything in a fresh folder, send samples, export them
	@$(BIN)/python examples/demo.py

test: $(READY)  ## all tests; with Java and Maven also those on a real Apache Kafka
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY)  ## format, lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-trainers: $(TRAINERS_READY)  ## exports into the real trainers; torch takes 5 GB
	@$(TRAINERS_VENV)/bin/python -m pytest -m trainers tests/trainers $(ARGS)

bench: $(READY)  ## lists the figures; NAME=export measures one, as a ratio against its reference
	@$(BIN)/python -m benchmarks $(NAME)

docs: $(READY)  ## write the generated files: schemas and references
	$(BIN)/python -m thumbline_warehouse.reference > docs/warehouse.md
	$(BIN)/python -m thumbline_ingest.cli.reference > docs/commands.md
	$(BIN)/python -m thumbline.schema > schemas/event.v1.schema.json
	$(BIN)/python -m thumbline_ingest.collector.openapi > schemas/openapi.v1.json

$(READY): pyproject.toml
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[server]' --group dev
	@touch $@

# torch first and alone: the other packages then take the build that is there.
$(TRAINERS_READY): pyproject.toml
	@echo "setting up $(TRAINERS_VENV) (once, about 5 GB)"
	@$(PYTHON) -m venv $(TRAINERS_VENV)
	@$(TRAINERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(TRAINERS_VENV)/bin/python -m pip install --quiet torch
	@$(TRAINERS_VENV)/bin/python -m pip install --quiet --editable '.[server]' --group trainers
	@touch $@

clean:
	rm -rf $(VENV) $(TRAINERS_VENV) .cache demo-home dist
