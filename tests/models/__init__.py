"""Tests of hostile model folders: files that an attacker could put into a downloaded model."""
