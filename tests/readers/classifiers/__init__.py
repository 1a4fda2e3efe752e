"""Tests of the `readers.classifiers` package."""
