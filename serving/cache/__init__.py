"""Readings kept for a while, so that the same photo is not read twice: one run for all who ask at once, in memory or in Redis."""
