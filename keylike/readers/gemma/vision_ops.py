"""Make torchvision importable with a PyTorch build without CUDA.

Gemma's vision network comes from timm, which imports torchvision. The usual torchvision wheel is
built for CUDA, so its compiled part cannot be loaded. Then the two operators that this part defines
are missing, and `import torchvision` fails. Declaring the signatures of the operators is enough,
because nothing here calls them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# Library objects with the declared operators. They are kept because an operator is removed when its
# Library object is garbage-collected.
_declared: list[Any] = []


def declare_operators() -> bool:
    """Declare the operators of torchvision's compiled part, if that part cannot be loaded.

    Call this before importing timm or torchvision.

    Returns:
        True if this call has declared the operators.
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
    """Return True if the compiled part can be loaded with the installed PyTorch."""
    import torch

    try:
        for compiled in package.glob("_C*.so"):
            torch.ops.load_library(str(compiled))
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")
