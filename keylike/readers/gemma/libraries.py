"""Import settings of the large libraries: offline and quiet, in this process only."""

from __future__ import annotations

import logging
import os

_SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
}


def go_offline() -> None:
    """Set the libraries to offline mode. Values that are already set are kept.

    Call this before the first import: the libraries read the variables once.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def silence() -> None:
    """Disable progress bars and warnings of transformers and bitsandbytes.

    Every problem that matters here is checked and raised explicitly.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # It warns about a kernel that it would download if it could.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
