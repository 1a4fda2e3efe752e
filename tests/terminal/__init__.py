"""Tests of the `terminal` package."""
