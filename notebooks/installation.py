"""Which Python runs the server: one that has its packages already, or an environment made for it beside the notebook's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# The newest and oldest that the locks are for.
_PYTHONS = ((3, 11), (3, 13))
# Exits with 0 if every package of the given locks is installed in the locked version.
_COMPARE = """
import sys
from pathlib import Path
from keylike.doctor.packages import compare
found = compare(*map(Path, sys.argv[1:]))
sys.exit(bool(found.lacking or found.other))
"""
_LAST_LINES = 15


def server_python(home: Path, *, gemma: bool) -> Path:
    """A Python with what the server in `home` needs, and what Gemma needs where that is to read; installed now where there is none.

    Nothing in the notebook's own environment changes: Colab's packages are loaded already, and others would want a new session. Raises
    RuntimeError with what went wrong.
    """
    own = home / ".venv" / "bin" / "python"
    for python in (Path(sys.executable), own):
        if has_packages(python, home, gemma=gemma):
            return python
    oldest, newest = _PYTHONS
    if not oldest <= sys.version_info[:2] <= newest:
        raise RuntimeError(
            f"Keylike needs Python 3.{oldest[1]} to 3.{newest[1]}; this notebook runs on {sys.version.split()[0]}."
        )
    print(
        "Installing what the server needs",
        "and Gemma: several GB, some minutes ..." if gemma else "(about a minute) ...",
        flush=True,
    )
    install(home, ["locks/torch.txt", "locks/gemma.txt"] if gemma else ["requirements.txt"])
    return own


def has_packages(python: Path, home: Path, *, gemma: bool) -> bool:
    """Whether that Python has all packages in the versions that are pinned."""
    files = ["requirements.txt", *(["locks/torch.txt", "locks/gemma.txt"] if gemma else [])]
    return (
        python.exists()
        and subprocess.run(
            [python, "-c", _COMPARE, *files], cwd=home, capture_output=True
        ).returncode
        == 0
    )


def install(home: Path, locks: list[str]) -> None:
    """Installs what those locks hold, hashes checked, into `home`/.venv. Raises RuntimeError with the last lines of what failed.

    The notebook's pip does it: Colab's Python, as Debian's, cannot put one into a new environment.
    """
    own = home / ".venv"
    if not (own / "bin" / "python").exists():
        _run([sys.executable, "-m", "venv", "--without-pip", str(own)])
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(own / "bin" / "python"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    for lock in locks:
        _run([*pip, "--require-hashes", "-r", str(home / lock)])


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if done.returncode:
        raise RuntimeError(
            "\n".join(["This failed:", " ".join(command), *done.stdout.splitlines()[-_LAST_LINES:]])
        )
