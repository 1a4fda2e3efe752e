"""Tests of the `tools.fuzzing` package."""
