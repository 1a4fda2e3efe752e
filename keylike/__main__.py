"""Entry point of the command line.

It checks the Python version and the installed packages, and handles Ctrl-C, before it imports the
rest of Keylike. It must also run on older versions of Python, to report that they are too old. So
it imports only the standard library at the top.
"""

from __future__ import annotations

import signal
import sys

# `typing` is not imported at run time: Ctrl-C during that import would print a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

# The oldest version of Python that Keylike supports.
_OLDEST = (3, 11)
# The exit status for a wrong installation or a wrong use of the command line.
_USAGE = 2


def main() -> None:
    """Run the command line."""
    received = []

    def stop(number: int, _frame: FrameType | None) -> None:
        # A second signal of the same kind terminates the process immediately.
        signal.signal(number, signal.SIG_DFL)
        received.append(number)
        # A server that is asked to stop exits with status 0, even while it is still starting.
        sys.exit(0 if _serves(sys.argv[1:]) else 128 + number)

    # The server installs other handlers as soon as it can stop without losing requests.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Windows has no SIGHUP. Under nohup, SIGHUP is ignored and must stay ignored.
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
