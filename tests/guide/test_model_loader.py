"""Tests of model_loader.py."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from keylike.resources import MODELS
from model_loader import load_model_optimized, optimize_memory


def test_load_model_optimized_loads_the_embedded_reader() -> None:
    model, processor = load_model_optimized(str(MODELS / "caliper"))
    assert model.info.kind == "caliper" and processor is None


@pytest.mark.parametrize("name", ["missing", "empty", "gemma-3n-E4B-it", "damaged"])
def test_load_model_optimized_returns_none_and_logs_why_a_model_fails(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("empty", "gemma-3n-E4B-it", "damaged"):
        (tmp_path / folder).mkdir()
    (tmp_path / "damaged" / "manifest.toml").write_text("kind = [")
    with caplog.at_level(logging.ERROR, "keylike"):
        assert load_model_optimized(tmp_path / name) == (None, None)
    assert f"{name} was not loaded: " in caplog.text and str(tmp_path) not in caplog.text


def test_load_model_optimized_returns_none_and_logs_an_invalid_setting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KEYLIKE_PRECISION", "fp8")
    with caplog.at_level(logging.ERROR, "keylike"):
        assert load_model_optimized(MODELS / "caliper") == (None, None)
    assert "KEYLIKE_PRECISION" in caplog.text


def test_optimize_memory_collects_unreachable_objects() -> None:
    class Node:
        """An object in a reference cycle, which only the garbage collector frees."""

        def __init__(self) -> None:
            self.self = self

        def __del__(self) -> None:
            collected.append(True)

    collected: list[bool] = []
    Node()
    optimize_memory()
    assert collected == [True]
