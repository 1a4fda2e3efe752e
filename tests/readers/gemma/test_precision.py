"""How weights are held goes by the machine: a table of machines, with a model of 8 billion parameters."""

from __future__ import annotations

import pytest

from keylike.errors import ModelError
from keylike.readers.gemma.precision import Device, of_stored, pick

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
def test_auto(device: Device, precision: str) -> None:
    assert pick("auto", device, PARAMETERS) == precision


def test_a_model_that_fits_in_no_way_is_refused_with_what_it_needs() -> None:
    with pytest.raises(ModelError, match=r"needs about 20\.4 GB of memory, and 4\.0 GB are free"):
        pick("auto", Device("cpu", 4 * 10**9, True), 7_850_000_000)


@pytest.mark.parametrize("asked", ["fp32", "bf16", "nf4"])
def test_what_is_asked_for_is_kept(asked: str) -> None:
    assert pick(asked, Device("cuda:0", GB, True), PARAMETERS) == asked


def test_stored_in_4_bits_stays_so() -> None:
    assert of_stored("auto", "keys") == of_stored("nf4", "keys") == "nf4"
    with pytest.raises(
        ModelError, match="keys is stored in 4 bits, which cannot become bf16 again"
    ):
        of_stored("bf16", "keys")
