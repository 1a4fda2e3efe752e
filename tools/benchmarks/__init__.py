"""Benchmarks of speed and accuracy. Each prints one line of JSON at the end. The server never
imports them."""
