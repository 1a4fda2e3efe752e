"""Tests of the real server while its environment fails."""
