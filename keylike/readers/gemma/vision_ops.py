"""Makes torchvision importable beside a PyTorch without CUDA: the vision network comes with timm, and timm imports torchvision.

The common torchvision wheel is built for CUDA. Its compiled part then cannot be loaded, the two operators it would define are missing,
and `import torchvision` fails at the shapes it registers for them. Their schemas alone suffice: nothing here calls them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# A library that is let go takes its operators with it.
_declared: list[Any] = []


def declare() -> bool:
    """Declares what the compiled part of torchvision cannot; whether that was needed. To be called before timm or torchvision."""
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
    """Whether the compiled part suits the PyTorch that is installed."""
    import torch

    try:
        for compiled in package.glob("_C*.so"):
            torch.ops.load_library(str(compiled))
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")
