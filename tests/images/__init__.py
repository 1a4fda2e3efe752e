"""Tests of the decoding of untrusted pictures."""
