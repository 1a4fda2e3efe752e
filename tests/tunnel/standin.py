"""A machine on which the stand-in for ngrok's agent is installed, and the server as a process that opens a tunnel there."""

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
    """The program `ngrok` in a folder of its own, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.program = self.bin / "ngrok"
        self.program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {AGENT} {folder} "$@"\n')
        self.program.chmod(0o755)

    def misbehave(self, mode: str) -> None:
        """From the next start on; "" is well behaved."""
        (self.folder / "mode").write_text(mode)

    def stay_at(self, port: int) -> None:
        """The public address of every agent to come."""
        (self.folder / "port").write_text(str(port))

    def seen(self, what: str) -> list[Any]:
        """Each time that one of its starts, or an address, was asked for: "pid", "argv", "environ", "settings", "modes", "endpoint"."""
        file = self.folder / "seen"
        lines = file.read_text().splitlines() if file.exists() else []
        return [found[what] for found in map(json.loads, lines) if what in found]

    def tell(self, number: int) -> None:
        """Sends the newest agent a signal; SIGUSR1 drops its session."""
        os.kill(self.seen("pid")[-1], number)

    def gone(self) -> bool:
        """Whether no agent that ever started runs any more."""
        return not any(_alive(pid) for pid in self.seen("pid"))


class Server:
    """`serve --tunnel` with the colour reader, before a stand-in; everything it says is kept."""

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
        self.home, self.out, self.err = home, home / "stdout", home / "stderr"
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

    def said(self) -> str:
        """All that it has said on stdout."""
        return self.out.read_text()

    def wait_for(self, words: str) -> str:
        """Until it has said what matches; the first group, or all of it."""
        until(lambda: re.search(words, self.said()) is not None or self.process.poll() is not None)
        found = re.search(words, self.said())
        assert found, (self.said(), self.err.read_text())
        return found[1] if found.re.groups else found[0]

    def link(self) -> tuple[str, str]:
        """The newest public address, and the token in its link."""
        self.wait_for(r"Open on the phone:  \S+\n")
        found = re.findall(r"Open on the phone:  (\S+)/(?:#token=(\S+))?\n", self.said())
        return found[-1][0], found[-1][1]

    def local(self) -> str:
        """Its own address."""
        return self.wait_for(r"serves on (http://127\.0\.0\.1:\d+)")

    def go_on(self) -> None:
        """Lets a patient reader begin."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def kill(self) -> None:
        """What a test leaves running."""
        with self.process:  # which closes its stdin, and waits
            self.process.kill()


def _alive(pid: int) -> bool:
    """Running or stopped; a dead process that nobody has asked after is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
