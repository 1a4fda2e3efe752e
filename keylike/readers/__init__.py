"""Readers, which turn photos of keys into readings."""
