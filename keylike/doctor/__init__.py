"""The checks of the `doctor` command.

Each check takes values and returns a finding: what it found, and advice.
"""
