"""Tests of the modules at the repository root, the import surface of the older guide."""
