"""Fuzzing: broken pictures, coverage-guided fuzzing of request parsing, and hostile load.

The server never imports it.
"""
