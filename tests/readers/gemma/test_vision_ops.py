"""Tests that torchvision can be imported with either build of PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.gemma

PROGRAM = """
from keylike.readers.gemma.vision_ops import declare_operators
{}
import torch, torchvision, timm
print(torch.ops.torchvision.nms)
"""


def import_torchvision(first: str) -> subprocess.CompletedProcess[str]:
    """Import torchvision in a separate process, after the statement `first`."""
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    return subprocess.run(
        [sys.executable, "-c", path + PROGRAM.format(first)], capture_output=True, text=True
    )


def test_declare_operators_twice_allows_import() -> None:
    done = import_torchvision("declare_operators(); declare_operators()")
    assert "torchvision.nms" in done.stdout, done.stderr


def test_declare_operators_acts_only_if_import_would_fail() -> None:
    """Without the declaration, the import must fail exactly when the declaration was needed."""
    needed = "True" in import_torchvision("print(declare_operators())").stdout
    assert (import_torchvision("pass").returncode != 0) == needed
