"""torchvision imports beside a PyTorch of either build, and a build that suits is left as it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.gemma

IMPORTED = "from keylike.readers.gemma.vision_ops import declare; {}; import torchvision, timm; import torch; print(torch.ops.torchvision.nms)"


def imported(first: str) -> subprocess.CompletedProcess[str]:
    """Imports torchvision in a process of its own, after `first`."""
    path = f"import sys; sys.path[:0] = {sys.path!r}; "
    return subprocess.run(
        [sys.executable, "-c", path + IMPORTED.format(first)], capture_output=True, text=True
    )


def test_importable_once_declared() -> None:
    done = imported("declare(); declare()")
    assert "torchvision.nms" in done.stdout, done.stderr


def test_declared_only_where_the_compiled_part_does_not_suit() -> None:
    """Without the declaration the import fails in exactly those places where it was needed."""
    needed = "True" in imported("print(declare())").stdout
    assert (imported("pass").returncode != 0) == needed
