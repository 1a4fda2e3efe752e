# serve: install and start the server.  test, lint: install what they need and run.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$each; break; }; done)
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: serve test lint
serve: $(VENV)/server
	@exec $(VENV)/bin/python app.py

test: $(VENV)/dev
	@$(VENV)/bin/python -m pytest -m "not gemma and not training"

lint: $(VENV)/dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name it with make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Stamps: nothing is installed twice until the pinned versions change.
$(VENV)/server: $(VENV)/made requirements.txt
	@echo "Installing what the server needs into $(VENV) (about a minute) ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/dev: $(VENV)/made requirements.txt requirements-dev.txt
	@echo "Installing what the tests need into $(VENV) (about a minute) ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/server
