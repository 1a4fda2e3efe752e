"""Tests of the notebook in notebooks/."""
