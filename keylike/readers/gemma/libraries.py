"""Settings of the large libraries, for this process: work offline, and print no messages."""

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
    """Set the environment variables for offline mode. Variables that are already set are kept.

    Call this before the first import of the libraries, because they read the variables only then.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def silence() -> None:
    """Disable progress bars and warnings of transformers and bitsandbytes.

    The code that uses them checks for problems and raises an error.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # bitsandbytes warns about a kernel that it would download if it were online.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
