"""Tests of the `doctor` package: the checks of the command `keylike doctor`."""
