"""Python client for a Keylike server, which reads house keys from photos.

Start with `from keylike_client import Client`.
"""

from __future__ import annotations

from keylike_client.client import Client
from keylike_client.errors import (
    KeylikeError,
    Refused,
    UnexpectedAnswer,
    Unreachable,
    Unreadable,
    UnusablePhoto,
)
from keylike_client.models import (
    Alternative,
    Assessment,
    Claim,
    Cut,
    CutLine,
    Geometry,
    Health,
    KeyedAlike,
    KeySpace,
    Part,
    Quality,
    Reading,
    WeakPattern,
)
from keylike_client.parallel import Outcome
from keylike_client.photos import Photo

__all__ = [
    "Alternative",
    "Assessment",
    "Claim",
    "Client",
    "Cut",
    "CutLine",
    "Geometry",
    "Health",
    "KeySpace",
    "KeyedAlike",
    "KeylikeError",
    "Outcome",
    "Part",
    "Photo",
    "Quality",
    "Reading",
    "Refused",
    "UnexpectedAnswer",
    "Unreachable",
    "Unreadable",
    "UnusablePhoto",
    "WeakPattern",
]
