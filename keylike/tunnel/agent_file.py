"""The settings that an agent starts with: for pyngrok, and in a file that the agent reads, which holds the token."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyngrok.conf import PyngrokConfig
from pyngrok.log import NgrokLog


def pyngrok_config(
    launcher: str, file: Path, start_s: float, hear: Callable[[NgrokLog], None]
) -> PyngrokConfig:
    """What pyngrok needs to know: what runs the agent, its settings in `file`, and who hears what it logs while it starts."""
    config = PyngrokConfig(
        ngrok_path=launcher,
        config_path=str(file),
        monitor_thread=False,
        log_event_callback=hear,
        startup_timeout=max(1, int(start_s)),
        # Ctrl-C in the terminal is for the server, which still answers what has come through the tunnel.
        start_new_session=True,
    )
    config.auth_token = (
        None  # which is otherwise that of NGROK_AUTHTOKEN, and goes into the command line
    )
    return config


@contextmanager
def written(path: Path, token: str) -> Iterator[Path]:
    """The agent's settings in a file for this user's eyes, there until the agent has its session. JSON is YAML as well.

    Nothing of what passes is kept for the agent's own page, which any program on this machine may read; nobody may end or replace the agent
    from ngrok's side. A free port in place of 4040, which another agent may have.
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
