"""How the large libraries are brought in: offline and quiet, in this process alone."""

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
    """To be called before any of them is imported: they read this once. What whoever started the server has set stays."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def be_quiet() -> None:
    """No progress bars, and errors alone; what this project must know of is looked up and raised, not left to a warning."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # It tells of a kernel that it would fetch from the network if it could.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
