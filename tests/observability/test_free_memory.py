"""Test of the free memory of this machine, or of a container with a memory limit."""

from __future__ import annotations

from pathlib import Path

from keylike.observability.free_memory import free_memory


def test_free_memory_respects_the_limit_of_a_container(tmp_path: Path) -> None:
    unbounded = free_memory(tmp_path / "none")
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.max").write_text("5000000\n")
    assert free_memory(tmp_path) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert unbounded and (free_memory(tmp_path) or 0) > 2_000_000
