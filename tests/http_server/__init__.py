"""Tests of the `http_server` package."""
