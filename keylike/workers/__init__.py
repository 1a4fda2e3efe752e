"""Decode and read in pre-forked worker processes."""
