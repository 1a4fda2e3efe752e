"""How the agent is run: it sees little of the server's environment, where tokens are, and what it says on stderr is dropped, since there it
quotes its own. pyngrok can do neither, but runs whatever program it is told to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

# What a program needs to find its way, and ngrok to find the network.
_KEPT = re.compile(
    r"PATH|HOME|USER|LANG|TMPDIR|LC_\w+|XDG_\w+|SSL_CERT_(FILE|DIR)|(http|https|all|no)_proxy|(HTTP|HTTPS|ALL|NO)_PROXY"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def write_launcher(folder: Path, program: Path, environ: Mapping[str, str]) -> Path:
    """A script in `folder` that becomes the `program`. Raises OSError."""
    dropped = [name for name in environ if _NAME.fullmatch(name) and not _KEPT.fullmatch(name)]
    forget = f"unset {' '.join(dropped)}\n" if dropped else ""
    script = folder / "ngrok"
    script.write_text(f'#!/bin/sh\n{forget}exec {shlex.quote(str(program))} "$@" 2>/dev/null\n')
    script.chmod(0o700)
    return script
