"""Tests of the choice of precision, for a model with 8 billion parameters."""

from __future__ import annotations

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.precision import Device, choose_precision, stored_precision

GB = 1_000_000_000
PARAMETERS = 8 * GB


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        (Device("cuda:0", 24 * GB, True), "bf16"),
        (Device("cuda:0", 20 * GB, True), "nf4"),
        (Device("cuda:0", 15 * GB, False), "nf4"),
        (Device("cuda:0", 48 * GB, False), "fp32"),
        (Device("cpu", 48 * GB, True), "fp32"),
        (Device("cpu", 40 * GB, True), "bf16"),
        (Device("mps", 16 * GB, True), "bf16"),
        (Device("mps", 16 * GB, False), "fp32"),
    ],
)
def test_automatic_precision_depends_on_the_device_and_its_memory(
    device: Device, precision: str
) -> None:
    assert choose_precision("auto", device, PARAMETERS) == precision


def test_model_that_does_not_fit_into_memory_raises_model_error() -> None:
    with pytest.raises(
        ModelError, match=r"needs about 20\.4 GB of memory, but only 4\.0 GB is free"
    ):
        choose_precision("auto", Device("cpu", 4 * 10**9, True), 7_850_000_000)


@pytest.mark.parametrize("requested", ["fp32", "bf16", "nf4"])
def test_requested_precision_is_used(requested: str) -> None:
    assert choose_precision(requested, Device("cuda:0", GB, True), PARAMETERS) == requested


def test_precision_of_a_model_stored_in_4_bits_is_always_nf4() -> None:
    assert stored_precision("auto", "keys") == stored_precision("nf4", "keys") == "nf4"
    with pytest.raises(
        ModelError, match="keys is stored in 4 bits and cannot be converted back to bf16"
    ):
        stored_precision("bf16", "keys")
