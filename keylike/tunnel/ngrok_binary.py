"""Find the ngrok program, and skip pyngrok's script of the same name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# Number of bytes at the start of a file in which the word pyngrok is searched.
_HEAD_BYTES = 1000


def find_ngrok(path: str | None = None) -> Path | None:
    """Return the ngrok program, or None if there is none.

    It is searched in `path` (by default PATH), and then where pyngrok stores its download.
    """
    from pyngrok import conf  # imported here, because only tunnels need pyngrok

    folders = os.get_exec_path() if path is None else path.split(os.pathsep)
    downloaded = Path(conf.DEFAULT_NGROK_PATH)
    found = [shutil.which("ngrok", path=folder) for folder in folders if folder]
    programs = [
        Path(each).absolute()
        for each in (*found, shutil.which(downloaded.name, path=str(downloaded.parent)))
        if each
    ]
    return next((program for program in programs if not _is_wrapper(program)), None)


def _is_wrapper(program: Path) -> bool:
    """Return True for the script named `ngrok` that pyngrok installs.

    It downloads the agent and runs it as a child process, which would keep running if the script is
    killed.
    """
    try:
        with program.open("rb") as file:
            return b"pyngrok" in file.read(_HEAD_BYTES)
    except OSError:
        return True
