"""Benchmark of serving: Keylike against other servers around the same reader, and against no
server."""
