"""What the server says as it starts: where it listens, and a line to try it with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keylike.resources import COMMAND


@dataclass(frozen=True, slots=True)
class Sample:
    """A photo that comes along, as whoever types a command names it, and what the embedded reader reads in it."""

    photo: str
    reading: str


def first_sample(samples: Path) -> Sample | None:
    """Return the first labelled sample that is there, with its path as a shell reads it."""
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
    """Where a browser on this machine finds a server that listens at `host`."""
    here = "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def greeting(
    address: str,
    model: str,
    sample: Sample | None,
    *,
    embedded: bool,
    token: str | None,
    tunnel: bool,
    spare: bool,
) -> Iterator[str]:
    """Lines without markup; the last where there is a `sample` to try, which only the `embedded` reader is known to read.

    `token`: the variable that holds one for the line to try, "" where none is asked for, None where one is asked for and there is none;
    `tunnel`: one is about to be opened, with a token of its own in that case; `spare`: none is, though there is a token of ngrok's.
    """
    yield f"Keylike serves on {address} with the model {model}; its documentation is at {address}/docs"
    if spare:
        yield f"NGROK_TOKEN is set: {COMMAND} --tunnel opens a public address, for a phone."
    if tunnel:
        yield "A tunnel is being opened: a link and a QR code follow."
    if token is None and tunnel:
        return
    if token is None:
        yield f"Readings need a token, and there is none yet. Make one:  {COMMAND} tokens new phone"
    if sample:
        header = f'-H "X-API-Key: ${token or "TOKEN"}" ' if token != "" else ""
        yield f"Try it:  curl {header}-F image=@{sample.photo} {address}/"
        if embedded:
            yield f"It should read {sample.reading}"
