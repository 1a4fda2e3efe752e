"""Benchmark of serving: compares Keylike with other servers that run the same reader.

It also compares Keylike with the reader in a plain loop without a server.
"""
