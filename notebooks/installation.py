"""Selects the Python interpreter that runs the server, and installs missing packages.

It is the notebook's interpreter if that has all packages. Otherwise it is the one of a virtual
environment in the Keylike folder.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Oldest and newest Python version of the locked packages.
_PYTHON_RANGE = ((3, 11), (3, 13))
# Script that exits with status 0 if every locked package is installed in the locked version.
_COMPARE_SCRIPT = """
import sys
from pathlib import Path
from keylike.doctor.packages import compare
found = compare(*map(Path, sys.argv[1:]))
sys.exit(bool(found.lacking or found.other))
"""
_SHOWN_LINES = 15  # last lines of a failed command's output that are shown


def server_python(home: Path, *, gemma: bool) -> Path:
    """Return a Python interpreter with the server's packages, and with Gemma's if `gemma` is True.

    Missing packages are installed into a new environment. The notebook's environment stays as it
    is, because Colab has already imported its packages. Other versions would need a new session.

    Raises:
        RuntimeError: The Python version is unsupported, or the installation failed.
    """
    environment_python = home / ".venv" / "bin" / "python"
    for python in (Path(sys.executable), environment_python):
        if has_packages(python, home, gemma=gemma):
            return python
    oldest, newest = _PYTHON_RANGE
    if not oldest <= sys.version_info[:2] <= newest:
        raise RuntimeError(
            f"Keylike needs Python 3.{oldest[1]} to 3.{newest[1]}, "
            f"and this notebook runs on {sys.version.split()[0]}."
        )
    print(
        "Installing the server",
        "and Gemma: several GB, some minutes ..." if gemma else "(about a minute) ...",
        flush=True,
    )
    install(home, ["locks/torch.txt", "locks/gemma.txt"] if gemma else ["requirements.txt"])
    return environment_python


def has_packages(python: Path, home: Path, *, gemma: bool) -> bool:
    """Return True if the interpreter `python` has all packages in their locked versions."""
    files = ["requirements.txt", *(["locks/torch.txt", "locks/gemma.txt"] if gemma else [])]
    return (
        python.exists()
        and subprocess.run(
            [python, "-c", _COMPARE_SCRIPT, *files], cwd=home, capture_output=True
        ).returncode
        == 0
    )


def install(home: Path, locks: list[str]) -> None:
    """Install locked packages into `home`/.venv and check their hashes.

    The notebook's pip is used, because the Python of Colab and Debian cannot add pip to a new
    environment.

    Raises:
        RuntimeError: A command failed. The message contains the end of its output.
    """
    environment_python = home / ".venv"
    if not (environment_python / "bin" / "python").exists():
        _run([sys.executable, "-m", "venv", "--without-pip", str(environment_python)])
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment_python / "bin" / "python"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    for lock in locks:
        _run([*pip, "--require-hashes", "-r", str(home / lock)])


def _run(command: list[str]) -> None:
    completed = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if completed.returncode:
        raise RuntimeError(
            "\n".join(
                [
                    "This command failed:",
                    " ".join(command),
                    *completed.stdout.splitlines()[-_SHOWN_LINES:],
                ]
            )
        )
