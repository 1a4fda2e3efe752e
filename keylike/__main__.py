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


def main() -> None:
    """Run the command line."""
    received = []

    def stop(number: int, _frame: FrameType | None) -> None:
        # A second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        received.append(number)
        # A server that is asked to stop has done so, however early that is.
        sys.exit(0 if _serves(sys.argv[1:]) else 128 + number)

    # The server replaces the handlers when it can stop without losing requests.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # There is no SIGHUP on Windows, and nohup ignores it.
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        _run()
    finally:
        if received:
            _say_stopped()


def _serves(arguments: list[str]) -> bool:
    return all(each.startswith("-") for each in arguments[:1]) or arguments[0] == "serve"


def _say_stopped() -> None:
    from contextlib import suppress

    with suppress(OSError):
        print("Stopped.", flush=True)


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
