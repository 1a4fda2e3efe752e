# serve, serve-gemma: install and start the server.  test, test-gemma, bench, trials, bench-gemma, lint: install what they need and run.
# train, evaluate, evaluation-docs: the embedded reader.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$each; break; }; done)
VENV := .venv
# Drawings (12 GB) and checkpoints, and the version that make train writes into the manifest.
WORK ?= work
FURTHER ?=
VERSION ?= 1.2.0
# What the race's load and each of the others in it are installed in, and how long it takes: seconds a measurement, rounds of everybody.
ENVS ?= benchmarks/.envs
RACERS := load fastapi litserve bentoml
SECONDS ?= 8
ROUNDS ?= 2
DOCS ?= docs/benchmarks
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
# Where pip is to find PyTorch, if not where it finds all else: the address of its CPU builds keeps CUDA (4 GB) off a machine without a GPU.
TORCH_INDEX ?=
TORCH = $(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) torch==2.13.0 torchvision==0.28.0,true)

# Each installation has the environment to itself.
.NOTPARALLEL:
.PHONY: serve serve-gemma test test-gemma bench trials bench-gemma lint train evaluate evaluation-docs
serve: $(VENV)/server
	@exec $(VENV)/bin/python app.py

# With what a Gemma folder named in MODEL_PATH needs; for Unsloth, requirements-gpu.txt besides.
serve-gemma: $(VENV)/gemma
	@exec $(VENV)/bin/python app.py

test: $(VENV)/dev
	@$(VENV)/bin/python -m pytest -m "not gemma and not training"

# What needs PyTorch: the training of the embedded reader, and Gemma with a tiny model.
test-gemma: $(VENV)/train $(VENV)/gemma
	@$(VENV)/bin/python -m pytest -m "gemma or training"

# The race: the server against others around the same reader, and against none (half an hour; nothing else should run meanwhile). Writes
# docs/benchmarks/ anew. SECONDS a measurement, ROUNDS of all contenders; DOCS=elsewhere for a trial.
bench: $(VENV)/server $(RACERS:%=$(ENVS)/%/made)
	@$(ENVS)/load/bin/python -m benchmarks.serving --work $(WORK)/bench --docs $(DOCS) --server $(VENV)/bin/python --envs $(ENVS) \
		--seconds $(SECONDS) --rounds $(ROUNDS)

# The server under bad conditions: a stop under load, slow connections, half-sent bodies, a flood, 10,000 requests. A quarter of an hour.
trials: $(VENV)/server $(ENVS)/load/made
	@$(ENVS)/load/bin/python -m benchmarks.serving.trials --work $(WORK)/trials

# Times slot decoding against one generate call of 80 tokens; makes a tiny model for it first (minutes).
bench-gemma: $(VENV)/gemma
	@$(VENV)/bin/python -m benchmarks.gemma --work $(WORK)/bench-gemma

# Draws, trains, exports and calibrates the embedded reader; goes on where it stopped. FURTHER=1 begins with the networks that are shipped.
train: $(VENV)/train
	@$(VENV)/bin/python -m training $(WORK) models/caliper --version $(VERSION) $(if $(FURTHER),--further)

# Scores the embedded reader on photos drawn for this alone.
evaluate: $(WORK)/judged/labels.jsonl
	@$(VENV)/bin/python app.py evaluate $(WORK)/judged --report $(WORK)/judged.html

# Writes docs/evaluation/ anew for the embedded reader, with photos beside that have no code of its keyways; for each new version.
evaluation-docs: $(WORK)/judged/labels.jsonl $(WORK)/judged-without/labels.jsonl
	@MODEL_PATH=models/caliper $(VENV)/bin/python app.py evaluate $(WORK)/judged $(WORK)/judged-without --report docs/evaluation/report.html > $(WORK)/judged.txt
	@$(VENV)/bin/python -m terminal.card docs/evaluation/model-card.md models/caliper/manifest.toml < $(WORK)/judged.txt

$(WORK)/judged/labels.jsonl: | $(VENV)/server
	@$(VENV)/bin/python -m training.render $(WORK)/judged --count 300 --seed 9200

$(WORK)/judged-without/labels.jsonl: | $(VENV)/server
	@$(VENV)/bin/python -m training.render $(WORK)/judged-without --count 60 --seed 9201 --kinds other blank none

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

$(VENV)/train: $(VENV)/dev requirements-train.txt
	@echo "Installing PyTorch and what training needs into $(VENV) (minutes) ..."
	@$(TORCH)
	@$(PIP) -r requirements-train.txt
	@touch $@

$(VENV)/gemma: $(VENV)/made requirements.txt requirements-gemma.txt
	@echo "Installing PyTorch, transformers and what Gemma needs into $(VENV) (minutes) ..."
	@$(TORCH)
	@$(PIP) -r requirements-gemma.txt
	@touch $@ $(VENV)/server

$(ENVS)/%/made: benchmarks/serving/requirements-%.txt requirements.txt | $(VENV)/made
	@echo "Installing the race's $* into $(ENVS)/$* (about a minute) ..."
	@$(PYTHON) -m venv --clear $(ENVS)/$*
	@$(ENVS)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
