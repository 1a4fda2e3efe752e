"""Tests of the Python client and of the examples for other clients."""
