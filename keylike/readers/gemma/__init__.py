"""Reader for fine-tuned Gemma 3n models. Only modules that load or run a model import PyTorch."""
