"""Tests of the benchmarks. They do not need the servers with which Keylike is compared."""
