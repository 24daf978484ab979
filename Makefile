# Lorem News and the extensions below it. `make help` lists what there is to do.

.DEFAULT_GOAL := help
.PHONY: help run test bench lint format behaviours lock clean

PORT ?= 8000
# How many tests run at a time, and what else pytest should be told: make test ARGS="-k recurring".
WORKERS ?= 3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# --disable-pip-version-check: nobody asked. --require-hashes: nothing is installed that is not in the lock file.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
LOCKED := $(INSTALL) --no-deps --require-hashes

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{ printf "%-20s%s\n", $$1, $$2 }'

run: $(VENV)/.run ## Lorem News, with its queue, on http://127.0.0.1:8000 (PORT=… for another port)
	@$(BIN)/flask --app wsgi db upgrade
	@$(BIN)/flask --app wsgi seed
	@echo "Log in at http://127.0.0.1:$(PORT)/login; the jobs are at http://127.0.0.1:$(PORT)/jobs. Stop with Ctrl-C."
	@PORT=$(PORT) QUEUE_IN_WEB=1 exec $(BIN)/python wsgi.py

test: $(VENV)/.dev ## every test; those of PostgreSQL and MariaDB when a server answers on this machine
	@eval "$$($(BIN)/python .ci/servers.py)" && exec $(BIN)/pytest -n $(WORKERS) $(ARGS)

bench: $(VENV)/.dev ## how fast it is here, beside its peers that are installed (ARGS=--quick, growth, --help)
	@eval "$$($(BIN)/python .ci/servers.py)" && exec $(BIN)/python -m benchmarks $(ARGS)

lint: $(VENV)/.dev ## style, types, and which module may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## put the style right where a program can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

behaviours: $(VENV)/.dev ## docs/behaviours.md anew, from the marks of the tests
	$(BIN)/python -m tests.behaviours

lock: ## constraints.txt and constraints-dev.txt anew, from pyproject.toml (UPGRADE=1 for the newest versions)
	@python="$$(sh .ci/python)" && PYTHON="$$python" .ci/lock

clean: ## remove the virtual environment and the caches; databases and mails stay
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# What is installed is what the lock file says; the marks remember when that was done.

$(VENV)/.run: constraints.txt pyproject.toml
	@python="$$(sh .ci/python)" && { $(BIN)/python -c "" 2>/dev/null || "$$python" -m venv --clear $(VENV); }
	@echo "Installing what the application needs into $(VENV) …"
	@$(LOCKED) --requirement constraints.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: constraints-dev.txt $(VENV)/.run
	@echo "Installing the tools for tests and checks into $(VENV) …"
	@$(LOCKED) --requirement constraints-dev.txt
	@touch $@
