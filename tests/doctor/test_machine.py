"""Tests of the checks of memory, processors, disk space and writable folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keylike.doctor import machine, models
from keylike.doctor.finding import State
from keylike.observability.processors import Processors

OK, NOTE, WARN, FAULT = State


@pytest.mark.parametrize(
    ("free", "state", "words"),
    [
        (3_000, OK, ""),
        (2_000, WARN, "KEYLIKE_MAX_MEMORY"),
        (1_200, WARN, "KEYLIKE_PRECISION=nf4"),
        (200, FAULT, "does not fit"),
        (None, NOTE, ""),
    ],
)
def test_memory_check_compares_free_memory_with_model_and_photos(
    free: int | None, state: State, words: str
) -> None:
    found = machine.memory("memory", free, 1_000, 1_000)
    assert found.state is state and words in found.advice


def test_processor_check_reports_a_quota_and_too_many_threads() -> None:
    found = machine.processors(Processors(8, 0.5), 1)
    assert (found.state, found.saw) == (
        OK,
        "8 cores, of which a quota allows 0.5; 1 photo at the same time",
    )
    found = machine.processors(Processors(8, None), 9)
    assert found.state is NOTE and "KEYLIKE_THREADS" in found.advice


def test_weight_bytes_of_an_adapter_include_its_base_model(tmp_path: Path) -> None:
    adapter, base = tmp_path / "keys", tmp_path / "models" / "gemma-3n"
    for folder, size in ((adapter, 10), (base, 1_000)):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(bytes(size))
        (folder / "config.txt").write_text("no weights")
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "google/gemma-3n"}')
    assert (
        machine.weight_bytes(models.loaded_folders(adapter, base_model=None, models=base.parent))
        == 1_010
    )
    assert (
        machine.weight_bytes(
            models.loaded_folders(adapter, base_model=None, models=tmp_path / "none")
        )
        == 10
    )
    assert machine.weight_bytes((base, base, tmp_path / "none")) == 1_000


def test_check_for_a_writable_folder_creates_nothing(tmp_path: Path) -> None:
    assert machine.writable(tmp_path / "new" / "logs").state is OK
    assert list(tmp_path.iterdir()) == []


def test_folder_instead_of_a_log_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / machine.LOG).mkdir()
    assert machine.writable(tmp_path).state is FAULT


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_log_folder_without_write_permission_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert machine.writable(tmp_path / "logs").state is FAULT
    tmp_path.chmod(0o700)


def test_too_little_disk_space_is_a_warning(tmp_path: Path) -> None:
    assert machine.space("disk", tmp_path / "none" / "yet", 1).state is OK
    assert machine.space("disk", tmp_path, 1 << 62).state is WARN
