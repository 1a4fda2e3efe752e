"""Entry point of the command line.

It checks Python and the packages, and handles Ctrl-C, before it imports anything else. It runs on
older versions of Python and imports only the standard library.
"""

from __future__ import annotations

import signal
import sys

# The import of typing would take time in which Ctrl-C prints a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_OLDEST = (3, 11)
_USAGE = 2


class _Stopped(SystemExit):
    """A signal that arrived before the server handles signals itself, or during a command."""


def main() -> None:
    """Run the command line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        _run()
    except _Stopped:
        print("Stopped.")
        raise


def _stop(number: int, _frame: FrameType | None) -> None:
    # A second signal ends the process at once.
    signal.signal(number, signal.SIG_DFL)
    raise _Stopped(128 + number)


def _run() -> None:
    if sys.version_info[:2] < _OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        _refuse(f"Keylike needs Python 3.11, 3.12 or 3.13; this is Python {found}")
    try:
        from keylike.cli import main as run
    except ModuleNotFoundError as error:
        if (error.name or "keylike").partition(".")[0] == "keylike":
            raise
        from keylike.resources import HOME, INSTALL_SERVER, shown

        own = HOME / ".venv" / "bin" / "python"
        advice = f"start {shown(own)} {shown(HOME / 'app.py')} instead, or " if own.exists() else ""
        _refuse(
            f"{sys.executable} lacks the package {error.name}; {advice}install the packages: "
            f"{INSTALL_SERVER}"
        )
    run()


def _refuse(line: str) -> None:
    print(f"keylike: {line}", file=sys.stderr)
    sys.exit(_USAGE)


if __name__ == "__main__":
    main()
