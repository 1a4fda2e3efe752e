# `make help` lists the targets. Each target first installs the packages that it needs into .venv, with
# pip, from requirements.txt and locks/, and checks their hashes. Only `make lock` needs uv.
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$each; break; }; done)
VENV := .venv
# WORK is the folder for rendered pictures (12 GB), checkpoints and other output. FURTHER=1 makes
# `make train` start from the shipped networks. VERSION is the version that it writes into the manifest.
WORK ?= work
FURTHER ?=
VERSION ?= 1.3.0
# For `make bench`: folder of the virtual environments of the load generator and of the other servers,
# names of these environments, seconds per measurement, number of rounds, and folder of the report.
ENVS ?= tools/benchmarks/.envs
PEERS := load fastapi litserve bentoml
SECONDS ?= 8
ROUNDS ?= 2
DOCS ?= docs/benchmarks
COUNT ?= 100000
REDOCLY := 2.77.0
SBOM := $(WORK)/sbom
# pip, with a single line of output if it cannot reach the package index. By itself, it prints an error
# for every package and attempt.
PIP := sh -c 'said=$$($(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --retries 2 "$$@" 2>&1) && exit; \
	case $$said in \
	*"connection broken by"*) echo "pip cannot reach the package index: connect this machine to the internet, or set PIP_INDEX_URL to an index in your network";; \
	*) echo "$$said";; esac >&2; exit 1' pip
LOCKED := $(PIP) --require-hashes -r
# TORCH_INDEX is the address of another package index for PyTorch. On a machine without a GPU, the index
# with CPU builds saves 4 GB of CUDA packages. No lock contains the hashes of its files, so PyTorch is
# then installed by version only. TORCH_HASHES=no does the same with pip's usual index. If the right
# version is installed already, it is kept.
TORCH_INDEX ?=
TORCH_HASHES ?= yes
TORCH_PINS = $(shell sed -nE 's/^ *"((torch|torchvision)==[^"]+)".*/\1/p' pyproject.toml | sort -u)
TORCH_INSTALLED = $(VENV)/bin/python -c 'import sys; from importlib.metadata import version; \
	sys.exit(any(version(name).partition("+")[0] != pin for name, pin in (each.split("==") for each in sys.argv[1:])))' $(TORCH_PINS) 2>/dev/null
TORCH = $(TORCH_INSTALLED) || $(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) $(TORCH_PINS),$(if $(filter no,$(TORCH_HASHES)),$(PIP) $(TORCH_PINS),$(LOCKED) locks/torch.txt))
# Without this, ONNX Runtime reports to its maker which models it runs.
export ORT_DISABLE_TELEMETRY := 1
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
WITHOUT_TORCH = $$(sed -nE 's/^(torch|torchvision|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==.*/--no-emit-package \1/p' locks/torch.txt)

# One process per core, at most four. A process that runs out of tests takes some from another.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal

# Targets run one after the other, because two installations must not change an environment at once.
.NOTPARALLEL:
.PHONY: help serve serve-gemma test test-browser test-slow test-gemma lint lint-api advisories bench stress bench-gemma fuzz hostile-load train evaluate evaluation-docs lock sbom wheel

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

serve: $(VENV)/server ## install the server and start it
	@exec $(VENV)/bin/python app.py

serve-gemma: $(VENV)/gemma ## the same with the packages for a Gemma model (MODEL_PATH)
	@exec $(VENV)/bin/python app.py

test: $(VENV)/dev ## run the tests that need no PyTorch
	@$(VENV)/bin/python -m pytest $(PARALLEL) -m "not gemma and not training and not browser and not slow"

test-browser: $(VENV)/dev ## run the tests of the web page in Chromium
	@$(VENV)/bin/python -m pytest $(PARALLEL) -m browser

test-slow: $(VENV)/dev ## run the tests that need 10 seconds of a core or more
	@$(VENV)/bin/python -m pytest $(PARALLEL) -m slow

test-gemma: $(VENV)/train $(VENV)/gemma ## run the tests that need PyTorch: training, and a tiny Gemma
	@$(VENV)/bin/python -m pytest -m "gemma or training"

lint: $(VENV)/dev advisories ## check style, types, import layers, the Dockerfile and the advisories
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo 2>/dev/null
	@$(VENV)/bin/hadolint Dockerfile

# Needs Node.js 20 or later; npx downloads redocly.
lint-api: $(VENV)/dev ## check the OpenAPI document with openapi-spec-validator and redocly
	@mkdir -p $(WORK)
	@$(VENV)/bin/python -m tools.openapi document $(WORK)/openapi.json
	@$(VENV)/bin/openapi-spec-validator $(WORK)/openapi.json
	@npx --yes @redocly/cli@$(REDOCLY) lint $(WORK)/openapi.json

advisories: $(VENV)/dev ## compare packages and bundled libraries with security/advisories.toml
	@$(VENV)/bin/python -m tools.supply_chain.advisories

bench: $(VENV)/server $(PEERS:%=$(ENVS)/%/made) ## compare with other servers and write docs/benchmarks (half an hour)
	@$(ENVS)/load/bin/python -m tools.benchmarks.serving --work $(WORK)/bench --docs $(DOCS) --server $(VENV)/bin/python --envs $(ENVS) \
		--seconds $(SECONDS) --rounds $(ROUNDS)

stress: $(VENV)/server $(ENVS)/load/made ## serve under bad conditions: floods, slow and half-sent requests, stops
	@$(ENVS)/load/bin/python -m tools.benchmarks.serving.stress --work $(WORK)/stress

bench-gemma: $(VENV)/gemma ## time slot decoding against one generate call, with a tiny model
	@$(VENV)/bin/python -m tools.benchmarks.gemma --work $(WORK)/bench-gemma

# Three minutes unless SECONDS is given.
fuzz: $(VENV)/fuzz ## search for pictures and requests that break request parsing (Linux)
	@$(VENV)/bin/python -m tools.fuzzing.coverage_guided --work $(WORK)/fuzz --seconds $(if $(filter file,$(origin SECONDS)),180,$(SECONDS))

hostile-load: $(VENV)/dev ## send COUNT hostile requests over sockets and check every response
	@$(VENV)/bin/python -m tools.fuzzing.hostile_load --work $(WORK)/hostile-load --count $(COUNT)

# Continues an interrupted run. FURTHER=1 starts from the shipped networks.
train: $(VENV)/train ## render, train, export and calibrate the embedded reader
	@$(VENV)/bin/python -m tools.training $(WORK) models/caliper --version $(VERSION) $(if $(FURTHER),--further)

evaluate: $(WORK)/judged/labels.jsonl ## score the embedded reader on pictures rendered for evaluation only
	@$(VENV)/bin/python app.py evaluate $(WORK)/judged --force --report $(WORK)/judged.html

evaluation-docs: $(WORK)/judged/labels.jsonl $(WORK)/judged-without/labels.jsonl ## write docs/evaluation for a new version
	@MODEL_PATH=models/caliper $(VENV)/bin/python app.py evaluate $(WORK)/judged $(WORK)/judged-without --force --report docs/evaluation/report.html > $(WORK)/judged.txt
	@$(VENV)/bin/python -m keylike.terminal.card docs/evaluation/model-card.md models/caliper/manifest.toml < $(WORK)/judged.txt

$(WORK)/judged/labels.jsonl: | $(VENV)/server
	@$(VENV)/bin/python -m tools.training.render $(WORK)/judged --count 300 --seed 9200

# Photos without a code of a supported keyway.
$(WORK)/judged-without/labels.jsonl: | $(VENV)/server
	@$(VENV)/bin/python -m tools.training.render $(WORK)/judged-without --count 60 --seed 9201 --kinds other blank none

wheel: $(VENV)/dev ## build the installable package into $(WORK)/dist
	@$(VENV)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(WORK)/dist .

# A package keeps its locked version unless pyproject.toml requires another one. PyTorch and its
# dependencies are only in torch.txt (see TORCH_INDEX), so the other locks do not contain them.
lock: $(VENV)/dev ## write requirements.txt and locks/ from pyproject.toml
	@$(LOCK) pyproject.toml -o requirements.txt
	@$(LOCK) pyproject.toml --extra otel -o locks/otel.txt
	@$(LOCK) pyproject.toml --group fuzz -o locks/fuzz.txt
	@$(LOCK) pyproject.toml --extra otel --group dev -c locks/gemma.txt -c locks/torch.txt -o locks/dev.txt
	@echo $(TORCH_PINS) | tr ' ' '\n' | $(LOCK) - -c locks/gemma.txt -o locks/torch.txt
	@$(LOCK) pyproject.toml --extra train -c locks/dev.txt -c locks/torch.txt $(WITHOUT_TORCH) -o locks/train.txt
	@$(LOCK) pyproject.toml --extra gemma -c locks/torch.txt $(WITHOUT_TORCH) -o locks/gemma.txt
	@$(LOCK) pyproject.toml --extra gpu -c locks/torch.txt $(WITHOUT_TORCH) -o locks/gpu.txt

sbom: $(VENV)/dev $(SBOM)/env/made ## list the server's packages and bundled libraries as CycloneDX
	@$(VENV)/bin/python -W ignore -m cyclonedx_py environment --gather-license-texts --pyproject pyproject.toml --output-reproducible \
		--output-file $(SBOM)/keylike.cdx.json $(SBOM)/env/bin/python
	@$(SBOM)/env/bin/python -m tools.supply_chain.native_libraries > $(SBOM)/libraries.json
	@$(VENV)/bin/python -m tools.supply_chain.sbom $(SBOM)/keylike.cdx.json $(SBOM)/libraries.json
	@echo $(SBOM)/keylike.cdx.json

$(SBOM)/env/made: requirements.txt | $(VENV)/made
	@$(PYTHON) -m venv --clear --without-pip $(SBOM)/env
	@$(VENV)/bin/python -m pip --python $(SBOM)/env/bin/python install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/made:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
		{ echo "Keylike needs Python 3.11, 3.12 or 3.13$(if $(PYTHON),; $(PYTHON) is none of them). Name one with make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot create virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Stamp files: packages are installed again only if the lock files have changed.
$(VENV)/server: $(VENV)/made requirements.txt
	@echo "Installing the server into $(VENV) (about a minute) ..."
	@$(LOCKED) requirements.txt
	@touch $@

$(VENV)/dev: $(VENV)/made locks/dev.txt
	@echo "Installing the test tools into $(VENV) (about a minute) ..."
	@$(LOCKED) locks/dev.txt
	@touch $@ $(VENV)/server

$(VENV)/fuzz: $(VENV)/made locks/fuzz.txt
	@echo "Installing the fuzzer into $(VENV) ..."
	@$(LOCKED) locks/fuzz.txt
	@touch $@ $(VENV)/server

$(VENV)/train: $(VENV)/dev locks/torch.txt locks/train.txt
	@echo "Installing PyTorch and the training tools into $(VENV) (minutes) ..."
	@$(TORCH)
	@$(LOCKED) locks/train.txt
	@touch $@

$(VENV)/gemma: $(VENV)/made locks/torch.txt locks/gemma.txt
	@echo "Installing PyTorch and transformers into $(VENV) (minutes) ..."
	@$(TORCH)
	@$(LOCKED) locks/gemma.txt
	@touch $@ $(VENV)/server

$(ENVS)/%/made: tools/benchmarks/serving/requirements-%.txt requirements.txt | $(VENV)/made
	@echo "Installing the benchmark's $* into $(ENVS)/$* (about a minute) ..."
	@$(PYTHON) -m venv --clear $(ENVS)/$*
	@$(ENVS)/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(ENVS)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
