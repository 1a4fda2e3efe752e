"""Tests that secrets of requests appear in no log, metric, trace, file or failure."""
