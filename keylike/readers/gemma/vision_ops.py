"""Make torchvision importable with a PyTorch build without CUDA.

Gemma's vision network comes from timm, which imports torchvision. The usual torchvision wheel is
built for CUDA. Its compiled part cannot be loaded then, the two operators that it would define are
missing, and `import torchvision` fails when it registers their shapes. Declaring their schemas is
enough, because nothing here calls them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# A Library object removes its operators when it is garbage-collected.
_declared: list[Any] = []


def declare_operators() -> bool:
    """Declare the operators that torchvision's compiled part would define, if it cannot be loaded.

    Call this before importing timm or torchvision.

    Returns:
        True if the operators were declared here.
    """
    import torch

    spec = find_spec("torchvision")
    if (
        spec is None
        or spec.origin is None
        or hasattr(torch.ops.torchvision, "nms")
        or _loads(Path(spec.origin).parent)
    ):
        return False
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(name + _SCHEMA)
    _declared.append(library)
    return True


def _loads(package: Path) -> bool:
    """Return True if the compiled part matches the installed PyTorch."""
    import torch

    try:
        for compiled in package.glob("_C*.so"):
            torch.ops.load_library(str(compiled))
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")
