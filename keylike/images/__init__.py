"""Decode untrusted pictures into upright RGB photos of limited size."""
