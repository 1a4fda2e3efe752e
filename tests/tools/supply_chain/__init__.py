"""Tests of the `tools.supply_chain` package."""
