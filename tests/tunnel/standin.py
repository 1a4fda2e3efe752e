"""The fake ngrok agent, installed as the program `ngrok`, and a server process that uses it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.running import until

ROOT = Path(__file__).resolve().parents[2]
AGENT = Path(__file__).with_name("agent.py")
NGROK_TOKEN = "2canaryNgrokToken0123456789_4AbCdEf"


class StandIn:
    """The fake agent as the program `ngrok` in a folder of its own. It records what it receives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.program = self.bin / "ngrok"
        self.program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {AGENT} {folder} "$@"\n')
        self.program.chmod(0o755)

    def misbehave(self, mode: str) -> None:
        """Set how agents that are started later fail. "" means that they do not fail."""
        (self.folder / "mode").write_text(mode)

    def stay_at(self, port: int) -> None:
        """Set the port of the public address of agents that are started later."""
        (self.folder / "port").write_text(str(port))

    def seen(self, what: str) -> list[Any]:
        """Return all recorded values of one kind.

        The kinds are "pid", "argv", "environ", "settings", "modes" and "endpoint".
        """
        file = self.folder / "seen"
        lines = file.read_text().splitlines() if file.exists() else []
        return [found[what] for found in map(json.loads, lines) if what in found]

    def send_signal(self, number: int) -> None:
        """Send a signal to the newest agent. SIGUSR1 drops its session."""
        os.kill(self.seen("pid")[-1], number)

    def gone(self) -> bool:
        """Return True if none of the started agents is still running."""
        return not any(_alive(pid) for pid in self.seen("pid"))


class Server:
    """A process `keylike serve --tunnel` with the colour reader and the fake agent."""

    def __init__(
        self,
        standin: StandIn,
        home: Path,
        *,
        command: tuple[str, ...] = ("--tunnel",),
        **environment: str,
    ) -> None:
        settings = {
            "KEYLIKE_PORT": "0",
            "KEYLIKE_LOGS": str(home / "logs"),
            "KEYLIKE_TOKENS": str(home / "tokens.sqlite3"),
        }
        path = f"{standin.bin}:{os.environ['PATH']}"
        self.home = home
        self.out = home / "stdout"
        self.err = home / "stderr"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.serve_colour", *command],
                cwd=ROOT,
                env={
                    **os.environ,
                    **settings,
                    "PATH": path,
                    "NGROK_TOKEN": NGROK_TOKEN,
                    "HOME": str(home),
                    **environment,
                },
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def output(self) -> str:
        """Return everything that the server has written to stdout."""
        return self.out.read_text()

    def wait_for(self, words: str) -> str:
        """Wait for output that matches a pattern; return its first group, or the whole match."""
        until(
            lambda: re.search(words, self.output()) is not None or self.process.poll() is not None
        )
        found = re.search(words, self.output())
        assert found, (self.output(), self.err.read_text())
        return found[1] if found.re.groups else found[0]

    def public_link(self) -> tuple[str, str]:
        """Return the newest public address and the token in its link."""
        self.wait_for(r"Open on the phone:  \S+\n")
        found = re.findall(r"Open on the phone:  (\S+)/(?:#token=(\S+))?\n", self.output())
        return found[-1][0], found[-1][1]

    def local(self) -> str:
        """Return the local address of the server."""
        return self.wait_for(r"serves on (http://127\.0\.0\.1:\d+)")

    def let_reader_continue(self) -> None:
        """Let a reader continue that waits for a line on stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def kill(self) -> None:
        """Kill the process if it still runs."""
        with self.process:  # closes its stdin and waits
            self.process.kill()


def _alive(pid: int) -> bool:
    """Return True if the process exists, also if it is stopped, but not if it is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
