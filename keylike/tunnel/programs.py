"""Where ngrok's own program is; what only looks like it is passed over."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_HEAD_BYTES = 1000


def ngrok_program(path: str | None = None) -> Path | None:
    """The agent on `path` (PATH unless told), or where pyngrok keeps the one it fetched; None where there is none."""
    from pyngrok import conf  # only for those who open a tunnel

    folders = os.get_exec_path() if path is None else path.split(os.pathsep)
    kept = Path(conf.DEFAULT_NGROK_PATH)
    found = [shutil.which("ngrok", path=folder) for folder in folders if folder]
    programs = [
        Path(each).absolute()
        for each in (*found, shutil.which(kept.name, path=str(kept.parent)))
        if each
    ]
    return next((program for program in programs if not _is_wrapper(program)), None)


def _is_wrapper(program: Path) -> bool:
    """pyngrok brings a script along that has the same name: it downloads the agent and runs it as a child, which would outlive it."""
    try:
        with program.open("rb") as file:
            return b"pyngrok" in file.read(_HEAD_BYTES)
    except OSError:
        return True
