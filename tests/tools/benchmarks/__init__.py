"""The benchmarks: what can be tested of them without the others of the race."""
