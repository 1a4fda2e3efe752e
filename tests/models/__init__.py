"""Tests of hostile model folders: what an attacker could put into a downloaded model."""
