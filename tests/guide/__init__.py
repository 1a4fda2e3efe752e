"""Tests of the Python files at the repository root, such as config.py and model_loader.py.

An earlier tutorial for such a server used these modules and functions. Programs that were written
after it still work.
"""
