"""Reads keys with a fine-tuned Gemma 3n. Only the modules that load and run the model import PyTorch."""
