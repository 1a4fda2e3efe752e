"""Tests of the `readers` package."""
