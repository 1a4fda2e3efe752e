"""The reader for fine-tuned Gemma 3n models. Only modules that load or run one import PyTorch."""
