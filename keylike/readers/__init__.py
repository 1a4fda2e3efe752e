"""Readers: anything that turns photos of keys into readings."""
