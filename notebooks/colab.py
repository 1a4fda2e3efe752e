"""Colab's secrets, Google Drive and file uploads, with replacements outside Colab."""

from __future__ import annotations

import getpass
import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

_DRIVE = Path("/content/drive")


def ngrok_token() -> str | None:
    """Return the user's ngrok token, or None for no tunnel.

    It comes from Colab's secrets, from NGROK_TOKEN in the environment, or from a hidden prompt.
    """
    return (
        _secret("NGROK_TOKEN")
        or os.environ.get("NGROK_TOKEN")
        or _prompt("ngrok authtoken (press Enter for no tunnel): ")
    )


def model_folder(name: str) -> Path | None:
    """Return the folder of the model to serve, or None for the embedded reader.

    Google Drive is mounted only if the folder is on it.

    Raises:
        FileNotFoundError: The folder does not exist.
    """
    if not name.strip():
        return None
    folder = Path(name.strip()).expanduser().absolute()
    drive = _colab_module("drive")
    if drive is not None and folder.is_relative_to(_DRIVE):
        drive.mount(str(_DRIVE))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. A folder on Drive looks like {_DRIVE}/MyDrive/my-lora. "
            "Leave the field empty for the embedded reader."
        )
    return folder


def photo(source: str, sample: Path) -> bytes:
    """Return the bytes of a photo.

    Args:
        source: "sample", "upload" or a path.
        sample: Path of the sample photo.

    Raises:
        OSError: The file cannot be read.
        ValueError: Uploads are not available outside Colab.
    """
    if source == "sample":
        return sample.read_bytes()
    if source != "upload":
        return Path(source).expanduser().read_bytes()
    files = _colab_module("files")
    if files is None:
        raise ValueError("Only Colab supports uploads. Elsewhere, enter the path of a photo.")
    # Colab writes uploads to disk, so they go into a folder that is deleted at once.
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder) / "photo"
        files.upload_file(str(upload))
        return upload.read_bytes()


def _secret(name: str) -> str | None:
    userdata = _colab_module("userdata")
    if userdata is None:
        return None
    try:
        return str(userdata.get(name)).strip() or None
    # Colab raises its own exceptions if the secret is missing or this notebook may not access it.
    except Exception as error:
        print(
            f"Colab has no secret {name} that this notebook can access ({type(error).__name__}). "
            "Add one with the key symbol on the left."
        )
        return None


def _prompt(question: str) -> str | None:
    try:
        return getpass.getpass(question).strip() or None
    # These exceptions mean that the notebook runs without a user who could enter the token.
    except Exception as error:
        if type(error).__name__ not in ("StdinNotImplementedError", "EOFError"):
            raise
        return None


def _colab_module(name: str) -> Any:
    """Return a module of Colab, or None outside Colab."""
    try:
        return importlib.import_module(f"google.colab.{name}")
    except ImportError:
        return None
