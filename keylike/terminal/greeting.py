"""The messages that the server prints at startup: its address, and an example command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keylike.resources import COMMAND

_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample photo and its reading. `photo` is its path, quoted for a shell."""

    photo: str
    reading: str


def first_sample(samples: Path) -> Sample | None:
    """Return the first labelled sample photo that exists, or None."""
    labels = samples / "labels.jsonl"
    if not labels.is_file():
        return None
    for line in labels.read_text(encoding="utf-8").splitlines():
        label = json.loads(line)
        photo = samples / label["file"]
        if photo.is_file():
            if photo.is_relative_to(Path.cwd()):
                photo = photo.relative_to(Path.cwd())
            reading = f"{label['keyway']} {','.join(map(str, label['bitting']))}"
            return Sample(shlex.quote(str(photo)), reading)
    return None


def address_of(host: str, port: int) -> str:
    """Return the URL at which a browser on this machine reaches a server that listens on `host`.

    A unix socket has no URL and is returned as it is.
    """
    if host.startswith(_UNIX):
        return host
    shown_host = "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host
    return f"http://[{shown_host}]:{port}" if ":" in shown_host else f"http://{shown_host}:{port}"


@dataclass(frozen=True, slots=True)
class Greeting:
    """The startup messages as plain lines.

    Attributes:
        address: URL of the server.
        model: name of the model.
        sample: photo for the example command, or None.
        embedded: True if the embedded reader is configured, so that the sample's reading is known.
        token: name of the variable that contains a token. It is "" if no token is needed, and None
            if one is needed but none exists.
        tunnel: True if a tunnel will be opened. If no token exists, one is created for the tunnel.
        spare: True if an ngrok token is set but no tunnel is configured.
    """

    address: str
    model: str
    sample: Sample | None
    embedded: bool
    token: str | None
    tunnel: bool
    spare: bool

    @property
    def _socket(self) -> str | None:
        """Return the path of the unix socket, or None."""
        return self.address.removeprefix(_UNIX) if self.address.startswith(_UNIX) else None

    def serving(self, *, loading: bool) -> Iterator[str]:
        """Yield lines with the address of the server, and about the tunnel."""
        state = ", which is still loading" if loading else ""
        yield (
            f"Keylike serves on {self.address} with the model {self.model}{state}; its "
            f"documentation is at {'' if self._socket else self.address}/docs"
        )
        if self.spare:
            yield f"NGROK_TOKEN is set: {COMMAND} --tunnel opens a public address for a phone."
        if self.tunnel:
            yield "Opening a tunnel: a link and a QR code follow."

    def try_it(self, *, degraded: bool) -> Iterator[str]:
        """Yield lines with a command that sends a sample photo.

        `degraded` is True if the embedded reader replaces the configured model.
        """
        if self.token is None and self.tunnel:
            return
        if self.token is None:
            yield (
                f"Predictions need a token, and none exists yet. Create one:  {COMMAND} "
                "tokens new phone"
            )
        if self.sample:
            header = f'-H "X-API-Key: ${self.token or "TOKEN"}" ' if self.token != "" else ""
            target = (
                f"--unix-socket {shlex.quote(self._socket)} http://localhost"
                if self._socket
                else self.address
            )
            yield f"Try it:  curl {header}-F image=@{self.sample.photo} {target}/"
            if self.embedded or degraded:
                yield f"It should read {self.sample.reading}"
