"""Decode untrusted pictures into upright, size-bounded RGB photos."""
