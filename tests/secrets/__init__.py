"""Tests that no log, metric, trace, file or error response contains a secret of a request.

The requests contain canaries: unique strings for which the tests search in every output.
"""
