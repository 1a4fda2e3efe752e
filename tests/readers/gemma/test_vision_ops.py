"""Tests that torchvision can be imported with PyTorch builds with and without CUDA."""

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
    """Import torchvision in a process of its own, after the statement `first`."""
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    return subprocess.run(
        [sys.executable, "-c", path + PROGRAM.format(first)], capture_output=True, text=True
    )


def test_torchvision_can_be_imported_after_declaring_operators_twice() -> None:
    done = import_torchvision("declare_operators(); declare_operators()")
    assert "torchvision.nms" in done.stdout, done.stderr


def test_operators_are_declared_only_if_the_import_would_fail() -> None:
    """Check that operators are declared only if importing torchvision fails without that."""
    needed = "True" in import_torchvision("print(declare_operators())").stdout
    assert (import_torchvision("pass").returncode != 0) == needed
