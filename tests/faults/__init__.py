"""Tests of a real server while something that it depends on fails."""
