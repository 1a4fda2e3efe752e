"""Readers turn photos of keys into readings."""
