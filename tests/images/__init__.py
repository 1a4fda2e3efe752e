"""Tests of the `images` package, which decodes untrusted pictures."""
