# serve, serve-gemma: install and start the server.  test, test-gemma, bench, trials, bench-gemma, lint: install what they need and run.
# train, evaluate, evaluation-docs: the embedded reader.  lock, sbom: what is installed, and a list of it.
# fuzz, storm: hostile input.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$each; break; }; done)
VENV := .venv
# Drawings (12 GB) and checkpoints, and the version that make train writes into the manifest.
WORK ?= work
FURTHER ?=
VERSION ?= 1.2.0
# What the race's load and each of the others in it are installed in, and how long it takes: seconds a measurement, rounds of everybody.
ENVS ?= tools/benchmarks/.envs
RACERS := load fastapi litserve bentoml
SECONDS ?= 8
ROUNDS ?= 2
DOCS ?= docs/benchmarks
COUNT ?= 100000
SBOM := $(WORK)/sbom
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
# Of packages nothing but the files whose hashes locks/ has; make lock writes them.
LOCKED := $(PIP) --require-hashes -r
# Where pip is to find PyTorch, if not where it finds all else: the address of its CPU builds keeps CUDA (4 GB) off a machine without a GPU.
# Their hashes are in no lock, so they are taken by their version; TORCH_HASHES=no does so with whatever pip finds where it always looks.
# The right version stays, whichever build it is.
TORCH_INDEX ?=
TORCH_HASHES ?= yes
TORCH_PINS = $(shell grep -hE '^(torch|torchvision)==' requirements-gemma.txt)
TORCH_IS_THERE = $(VENV)/bin/python -c 'import sys; from importlib.metadata import version; \
	sys.exit(any(version(name).partition("+")[0] != pin for name, pin in (each.split("==") for each in sys.argv[1:])))' $(TORCH_PINS) 2>/dev/null
TORCH = $(TORCH_IS_THERE) || $(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) $(TORCH_PINS),$(if $(filter no,$(TORCH_HASHES)),$(PIP) $(TORCH_PINS),$(LOCKED) locks/torch.txt))
# ONNX Runtime otherwise reports to its maker which models it runs.
export ORT_DISABLE_TELEMETRY := 1
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
WITHOUT_TORCH = $$(sed -nE 's/^(torch|torchvision|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==.*/--no-emit-package \1/p' locks/torch.txt)

# Each installation has the environment to itself.
.NOTPARALLEL:
.PHONY: serve serve-gemma test test-gemma bench trials bench-gemma fuzz storm lint lock sbom train evaluate evaluation-docs
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
	@$(ENVS)/load/bin/python -m tools.benchmarks.serving --work $(WORK)/bench --docs $(DOCS) --server $(VENV)/bin/python --envs $(ENVS) \
		--seconds $(SECONDS) --rounds $(ROUNDS)

# The server under bad conditions: a stop under load, slow connections, half-sent bodies, a flood, 10,000 requests. A quarter of an hour.
trials: $(VENV)/server $(ENVS)/load/made
	@$(ENVS)/load/bin/python -m tools.benchmarks.serving.stress --work $(WORK)/trials

# Searches for pictures and requests that the intake cannot bear, led by the lines they reach (Linux; three minutes, or SECONDS=...).
fuzz: $(VENV)/fuzz
	@$(VENV)/bin/python -m tools.fuzzing.intake --work $(WORK)/fuzz --seconds $(if $(filter file,$(origin SECONDS)),180,$(SECONDS))

# COUNT hostile requests over real sockets, every answer held against the contract (about ten minutes).
storm: $(VENV)/dev
	@$(VENV)/bin/python -m tools.fuzzing.hostile_load --work $(WORK)/storm --count $(COUNT)

# Times slot decoding against one generate call of 80 tokens; makes a tiny model for it first (minutes).
bench-gemma: $(VENV)/gemma
	@$(VENV)/bin/python -m tools.benchmarks.gemma --work $(WORK)/bench-gemma

# Draws, trains, exports and calibrates the embedded reader; goes on where it stopped. FURTHER=1 begins with the networks that are shipped.
train: $(VENV)/train
	@$(VENV)/bin/python -m tools.training $(WORK) models/caliper --version $(VERSION) $(if $(FURTHER),--further)

# Scores the embedded reader on photos drawn for this alone.
evaluate: $(WORK)/judged/labels.jsonl
	@$(VENV)/bin/python app.py evaluate $(WORK)/judged --report $(WORK)/judged.html

# Writes docs/evaluation/ anew for the embedded reader, with photos beside that have no code of its keyways; for each new version.
evaluation-docs: $(WORK)/judged/labels.jsonl $(WORK)/judged-without/labels.jsonl
	@MODEL_PATH=models/caliper $(VENV)/bin/python app.py evaluate $(WORK)/judged $(WORK)/judged-without --report docs/evaluation/report.html > $(WORK)/judged.txt
	@$(VENV)/bin/python -m keylike.terminal.card docs/evaluation/model-card.md models/caliper/manifest.toml < $(WORK)/judged.txt

$(WORK)/judged/labels.jsonl: | $(VENV)/server
	@$(VENV)/bin/python -m tools.training.render $(WORK)/judged --count 300 --seed 9200

$(WORK)/judged-without/labels.jsonl: | $(VENV)/server
	@$(VENV)/bin/python -m tools.training.render $(WORK)/judged-without --count 60 --seed 9201 --kinds other blank none

lint: $(VENV)/dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo 2>/dev/null
	@$(VENV)/bin/hadolint Dockerfile

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; name it with make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Stamps: nothing is installed twice until the locked versions change.
$(VENV)/server: $(VENV)/made locks/server.txt
	@echo "Installing what the server needs into $(VENV) (about a minute) ..."
	@$(LOCKED) locks/server.txt
	@touch $@

$(VENV)/dev: $(VENV)/made locks/dev.txt
	@echo "Installing what the tests need into $(VENV) (about a minute) ..."
	@$(LOCKED) locks/dev.txt
	@touch $@ $(VENV)/server

$(VENV)/fuzz: $(VENV)/made locks/fuzz.txt
	@echo "Installing the search led by coverage into $(VENV) ..."
	@$(LOCKED) locks/fuzz.txt
	@touch $@ $(VENV)/server

$(VENV)/train: $(VENV)/dev locks/torch.txt locks/train.txt
	@echo "Installing PyTorch and what training needs into $(VENV) (minutes) ..."
	@$(TORCH)
	@$(LOCKED) locks/train.txt
	@touch $@

$(VENV)/gemma: $(VENV)/made locks/torch.txt locks/gemma.txt
	@echo "Installing PyTorch, transformers and what Gemma needs into $(VENV) (minutes) ..."
	@$(TORCH)
	@$(LOCKED) locks/gemma.txt
	@touch $@ $(VENV)/server

# Writes locks/ anew from the requirements files: all that they bring along, for every machine and Python, with hashes. What a lock has stays
# unless a requirements file says otherwise. PyTorch and what it brings along lie in torch.txt alone (see TORCH_INDEX); the rest needs it there.
lock: $(VENV)/dev
	@$(LOCK) requirements.txt -o locks/server.txt
	@$(LOCK) requirements-otel.txt -o locks/otel.txt
	@$(LOCK) requirements-fuzz.txt -o locks/fuzz.txt
	@$(LOCK) requirements-dev.txt -c requirements-gemma.txt -o locks/dev.txt
	@echo $(TORCH_PINS) | tr ' ' '\n' | $(LOCK) - -c requirements-gemma.txt -o locks/torch.txt
	@$(LOCK) requirements-train.txt -c locks/dev.txt -c locks/torch.txt $(WITHOUT_TORCH) -o locks/train.txt
	@$(LOCK) requirements-gemma.txt -c locks/torch.txt $(WITHOUT_TORCH) -o locks/gemma.txt
	@$(LOCK) requirements-gpu.txt -c locks/torch.txt $(WITHOUT_TORCH) -o locks/gpu.txt

# What the server consists of, on this machine and Python, with versions and licences, as CycloneDX; checked against its schema.
sbom: $(VENV)/dev $(SBOM)/env/made
	@$(VENV)/bin/python -W ignore -m cyclonedx_py environment --gather-license-texts --pyproject pyproject.toml --output-reproducible \
		--output-file $(SBOM)/keylike.cdx.json $(SBOM)/env/bin/python
	@echo $(SBOM)/keylike.cdx.json

$(SBOM)/env/made: locks/server.txt | $(VENV)/made
	@$(PYTHON) -m venv --clear --without-pip $(SBOM)/env
	@$(VENV)/bin/python -m pip --python $(SBOM)/env/bin/python install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(ENVS)/%/made: tools/benchmarks/serving/requirements-%.txt requirements.txt | $(VENV)/made
	@echo "Installing the race's $* into $(ENVS)/$* (about a minute) ..."
	@$(PYTHON) -m venv --clear $(ENVS)/$*
	@$(ENVS)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
