"""The other servers of the comparison.

Each is written as in the documentation of its framework. All use the same reader.
"""
