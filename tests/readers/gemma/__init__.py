"""Tests of the `readers.gemma` package."""
