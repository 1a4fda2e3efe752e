"""Tests of tools/supply_chain."""
