# The two commands of a newcomer: `make demo` and `make test`. Each sets up its own environment once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RECIPES_VENV ?= .venv-recipes
RECIPES_READY := $(RECIPES_VENV)/.ready
TRAINERS_VENV ?= .venv-trainers
TRAINERS_READY := $(TRAINERS_VENV)/.ready
OLD_TRAINERS_VENV ?= .venv-trainers-old
OLD_TRAINERS_READY := $(OLD_TRAINERS_VENV)/.ready
# What datasets 4.0 leaves open, Python closes and says so.
OLD_WARNINGS := -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning
SITE_PACKAGES := -c 'import site; print(site.getsitepackages()[0])'

.PHONY: demo test test-endurance check web test-recipes test-trainers environments bench docs clean

demo: $(READY)  ## start everything in a fresh folder, send samples, export them
	@$(BIN)/python examples/demo.py

test: $(READY)  ## all tests; with Java and Maven also those on a real Apache Kafka
	@$(BIN)/python -m pytest $(ARGS)

test-endurance: $(READY)  ## outages and full disks that take minutes
	@$(BIN)/python -m pytest -m endurance $(ARGS)

check: $(READY)  ## format, lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

web:  ## build what pages load from sdk/web: types, client, elements; needs Node.js
	cd sdk/web && npm ci --silent --no-audit --no-fund
	cd sdk/web && npm run --silent types && npm run --silent check && npm run --silent build && npm run --silent frameworks
	cd examples/recipes/assistant-ui && npm ci --silent --no-audit --no-fund

test-recipes: $(READY) $(RECIPES_READY)  ## examples/recipes and thumbline.openai on the real packages, and their types; 850 MB
	@$(BIN)/mypy --python-executable $(RECIPES_VENV)/bin/python examples/recipes
	@$(RECIPES_VENV)/bin/python -m pytest -m recipes tests/recipes $(ARGS)

test-trainers: $(TRAINERS_READY) $(OLD_TRAINERS_READY)  ## exports into the real trainers, new and old; torch takes 5 GB
	@$(TRAINERS_VENV)/bin/python -m pytest -m trainers tests/trainers $(ARGS)
	@$(OLD_TRAINERS_VENV)/bin/python -m pytest -m trainers $(OLD_WARNINGS) tests/trainers $(ARGS)

environments: $(READY) $(RECIPES_READY) $(TRAINERS_READY) $(OLD_TRAINERS_READY)  ## all of them, 6 GB

bench: $(READY)  ## lists the figures; NAME=export measures one, as a ratio against its reference
	@$(BIN)/python -m benchmarks $(NAME)

docs: $(READY)  ## write the generated files: schemas and references
	$(BIN)/python -m thumbline_warehouse.reference > docs/warehouse.md
	$(BIN)/python -m thumbline_warehouse.export.examples > docs/export-rows.md
	$(BIN)/python -m thumbline_ingest.cli.reference > docs/commands.md
	$(BIN)/python -m thumbline.schema > schemas/event.v1.schema.json
	$(BIN)/python -m thumbline_ingest.collector.openapi > schemas/openapi.v1.json

$(READY): pyproject.toml
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[server]' --group dev
	@touch $@

$(RECIPES_READY): pyproject.toml
	@echo "setting up $(RECIPES_VENV) (once, about 850 MB)"
	@$(PYTHON) -m venv $(RECIPES_VENV)
	@$(RECIPES_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(RECIPES_VENV)/bin/python -m pip install --quiet --editable '.[server]' --group recipes
	@touch $@

# torch first and alone: the other packages then take the build that is there.
$(TRAINERS_READY): pyproject.toml
	@echo "setting up $(TRAINERS_VENV) (once, about 5 GB)"
	@$(PYTHON) -m venv $(TRAINERS_VENV)
	@$(TRAINERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(TRAINERS_VENV)/bin/python -m pip install --quiet torch
	@$(TRAINERS_VENV)/bin/python -m pip install --quiet --editable '.[server]' --group trainers
	@touch $@

# TRL before 1.0, which Unsloth and LLaMA-Factory pin. Torch and the rest come from the environment of the new one.
$(OLD_TRAINERS_READY): pyproject.toml $(TRAINERS_READY)
	@echo "setting up $(OLD_TRAINERS_VENV) (once)"
	@$(PYTHON) -m venv $(OLD_TRAINERS_VENV)
	@$(OLD_TRAINERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@echo "import site; site.addsitedir('$$($(TRAINERS_VENV)/bin/python $(SITE_PACKAGES))')" \
	  > $$($(OLD_TRAINERS_VENV)/bin/python $(SITE_PACKAGES))/new-trainers.pth
	@$(OLD_TRAINERS_VENV)/bin/python -m pip install --quiet --group trainers-old
	@$(OLD_TRAINERS_VENV)/bin/python -m pip install --quiet --no-deps llamafactory==0.9.5
	@touch $@

clean:
	rm -rf $(VENV) $(RECIPES_VENV) $(TRAINERS_VENV) $(OLD_TRAINERS_VENV) .cache demo-home dist
