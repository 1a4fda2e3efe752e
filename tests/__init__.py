"""Tests of Keylike. The folders mirror those of `keylike/` and `tools/`."""
