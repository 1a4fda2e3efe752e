"""The checks of the `doctor` command.

Each takes values and returns what it found and what to do.
"""
