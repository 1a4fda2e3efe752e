"""The end of the process, where Python's own would wait for others' threads or be aborted by them."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def end_at_once(status: int) -> NoReturn:
    """Ends the process with this exit status: no library can be interrupted in the middle of its work, and threads inside onnxruntime or
    OpenCV abort the process as Python takes itself apart."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
