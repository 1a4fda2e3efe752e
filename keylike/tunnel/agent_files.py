"""Write the files and settings with which an ngrok agent starts.

pyngrok cannot filter the environment of the agent, and it cannot discard the agent's stderr, which
may contain secrets. So it runs a launcher script that does both and then becomes the agent.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyngrok.conf import PyngrokConfig
from pyngrok.log import NgrokLog

# Pattern of the environment variables that the agent gets: those that it needs to run and to reach
# the network. All others are removed, because some contain tokens.
_PASSED = re.compile(
    r"PATH|HOME|USER|LANG|TMPDIR|LC_\w+|XDG_\w+|SSL_CERT_(FILE|DIR)|(http|https|all|no)_proxy|(HTTP|HTTPS|ALL|NO)_PROXY"
)
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def write_launcher(folder: Path, program: Path, environ: Mapping[str, str]) -> Path:
    """Write a shell script to `folder` that removes variables and then becomes `program` (exec).

    Raises:
        OSError: The script cannot be written.
    """
    withheld = [
        name for name in environ if _SHELL_NAME.fullmatch(name) and not _PASSED.fullmatch(name)
    ]
    unset = f"unset {' '.join(withheld)}\n" if withheld else ""
    script = folder / "ngrok"
    script.write_text(f'#!/bin/sh\n{unset}exec {shlex.quote(str(program))} "$@" 2>/dev/null\n')
    script.chmod(0o700)
    return script


@contextmanager
def config_file(path: Path, token: str) -> Iterator[Path]:
    """Write the agent's configuration file, and delete it at the end of the `with` block.

    Only this user can read the file. It contains the token, so it should exist only until the agent
    is connected. It is written as JSON, which is valid YAML. The configuration:

    - stores no traffic for the agent's inspection page, which every local program can read;
    - forbids stopping or replacing the agent from ngrok's dashboard;
    - uses a free port instead of 4040, which another agent may use.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    agent = {
        "authtoken": token,
        "web_addr": f"127.0.0.1:{port}",
        "inspect_db_size": -1,
        "update_check": False,
        "remote_management": False,
    }
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump({"version": "3", "agent": agent}, file)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def pyngrok_config(
    launcher: str, file: Path, timeout_s: float, on_log: Callable[[NgrokLog], None]
) -> PyngrokConfig:
    """Return the settings for pyngrok.

    Args:
        launcher: path of the script that runs the agent.
        file: configuration file of the agent.
        timeout_s: seconds that the agent may take to start.
        on_log: called with each line that the agent logs while it starts.
    """
    config = PyngrokConfig(
        ngrok_path=launcher,
        config_path=str(file),
        monitor_thread=False,
        log_event_callback=on_log,
        startup_timeout=max(1, int(timeout_s)),
        # In its own session, the agent does not get Ctrl-C from the terminal. It must keep running
        # while the server answers the last requests that came through the tunnel.
        start_new_session=True,
    )
    # Otherwise pyngrok reads NGROK_AUTHTOKEN and puts it into the command line, where other users
    # can see it.
    config.auth_token = None
    return config
