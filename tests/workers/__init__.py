"""Tests of the `workers` package: the worker processes."""
