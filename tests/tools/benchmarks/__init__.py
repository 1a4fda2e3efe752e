"""Tests of the benchmarks that run without the compared servers."""
