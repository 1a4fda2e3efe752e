"""What Colab has and other notebooks do not: its secrets, the user's Drive, and a widget that takes a file from the browser."""

from __future__ import annotations

import getpass
import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

_DRIVE = Path("/content/drive")


def ngrok_token() -> str | None:
    """The token of the user's ngrok account: from Colab's secrets, NGROK_TOKEN in the environment, or typed unseen. None: no tunnel."""
    return (
        _secret("NGROK_TOKEN")
        or os.environ.get("NGROK_TOKEN")
        or _typed("Token of your ngrok account (Enter alone: no tunnel): ")
    )


def model_folder(name: str) -> Path | None:
    """The folder of the model to serve, None for the embedded reader. Asks for the user's Drive if the folder lies there, and only then.
    Raises FileNotFoundError."""
    if not name.strip():
        return None
    folder = Path(name.strip()).expanduser().absolute()
    drive = _colab("drive")
    if drive is not None and folder.is_relative_to(_DRIVE):
        drive.mount(str(_DRIVE))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is no folder. One of your Drive is like {_DRIVE}/MyDrive/my-lora; empty is the embedded reader."
        )
    return folder


def photo(wanted: str, sample: Path) -> bytes:
    """The bytes of `wanted`: "sample", "upload", or a path. Raises OSError; ValueError where there is nothing to upload with."""
    if wanted == "sample":
        return sample.read_bytes()
    if wanted != "upload":
        return Path(wanted).expanduser().read_bytes()
    files = _colab("files")
    if files is None:
        raise ValueError("Only Colab has the upload; elsewhere give the path of a photo.")
    # Colab writes what it takes to disk: here to where it is gone again at once.
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "photo"
        files.upload_file(str(taken))
        return taken.read_bytes()


def _secret(name: str) -> str | None:
    userdata = _colab("userdata")
    if userdata is None:
        return None
    try:
        return str(userdata.get(name)).strip() or None
    except (
        Exception
    ) as missing:  # of Colab's own kinds: there is none, or this notebook may not see it
        print(
            f"Colab has no secret {name} that this notebook may see ({type(missing).__name__}); the key symbol on the left adds one."
        )
        return None


def _typed(question: str) -> str | None:
    try:
        return getpass.getpass(question).strip() or None
    except Exception as nobody:  # a notebook that is run without anybody before it takes no input
        if type(nobody).__name__ not in ("StdinNotImplementedError", "EOFError"):
            raise
        return None


def _colab(part: str) -> Any:
    """A module of Colab's, None elsewhere."""
    try:
        return importlib.import_module(f"google.colab.{part}")
    except ImportError:
        return None
