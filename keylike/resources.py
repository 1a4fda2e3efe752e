"""Paths of the files that come with the package: models, samples, web page and lock files.

In a checkout, they are next to the package. In an installed package, they are in `keylike/data`,
into which the build has copied them (see `tool.hatch` in pyproject.toml).
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("keylike")))
WEB = PACKAGE / "web"
_DATA = PACKAGE / "data"
INSTALLED = _DATA.is_dir()
# Folder with models/, samples/, requirements.txt and locks/.
HOME = _DATA if INSTALLED else PACKAGE.parent
MODELS = HOME / "models"
SAMPLES = HOME / "samples"


def shown(path: Path) -> str:
    """Return a path, quoted for a shell, and relative to the current folder if it is inside."""
    try:
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
    # Path.cwd() raises this if the current folder was removed.
    except FileNotFoundError:
        pass
    return shlex.quote(str(path))


def _program(path: Path) -> str:
    """Return how a shell starts a program: by its name if it is in PATH, or else by its path."""
    found = shutil.which(path.name)
    # The paths are not resolved, because the python of a virtual environment is a link.
    if found and os.path.abspath(found) == str(path):
        return path.name
    short = shown(path)
    return short if "/" in short else f"./{short}"


def _command() -> str:
    """Return the command that starts this command line from the current folder."""
    python = Path(sys.executable)
    if not INSTALLED:
        return f"{_program(python)} {shown(HOME / 'app.py')}"
    script = python.with_name("keylike")
    return _program(script) if script.exists() else f"{_program(python)} -m keylike"


def _install(target: str, *locks: str) -> str:
    """Return the command that installs pinned packages: make in a checkout, or else pip."""
    if not INSTALLED:
        # -C is needed if the checkout is not the current folder.
        folder = shown(HOME)
        return f"make {target}" if folder == "." else f"make -C {folder} {target}"
    options = " ".join(f"-r {shown(HOME / lock)}" for lock in locks)
    return f"{_program(Path(sys.executable))} -m pip install {options}"


# Commands for messages. They work as printed in the folder in which this process was started.
COMMAND = _command()
INSTALL_SERVER = _install("serve", "requirements.txt")
INSTALL_GEMMA = _install("serve-gemma", "locks/torch.txt", "locks/gemma.txt")


def state_folder() -> Path:
    """Return the default folder for logs and tokens.

    In a checkout, it is the checkout. An installed server must not write into site-packages, so it
    uses the state folder of the user. This does not depend on the current folder, so that a token
    that was created in one folder is valid for a server that is started in another one.
    """
    if not INSTALLED:
        return HOME
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        path = Path(os.environ.get(name, ""))
        if path.is_absolute():
            return path / "keylike"
    try:
        return Path.home() / ".local" / "state" / "keylike"
    except RuntimeError:  # a user without a home directory, as in some containers
        return Path.cwd()
