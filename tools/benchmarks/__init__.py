"""Benchmarks of speed and accuracy. The last line of each one's output is JSON.

The server never imports them.
"""
