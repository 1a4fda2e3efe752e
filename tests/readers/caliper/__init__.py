"""Tests of the `readers.caliper` package."""
