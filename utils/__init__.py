"""Helper modules under the names of the older guide."""
