"""Tests of the `tools.training` package."""
