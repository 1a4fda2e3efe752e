"""What the server says as it starts: where it listens, and a line to try it with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path


def address_of(host: str, port: int) -> str:
    """Where a browser on this machine finds a server that listens at `host`."""
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::', 'localhost') else host}:{port}"


def greeting(address: str, model: str, samples: Path, *, embedded: bool, token: str | None, tunnel: bool) -> Iterator[str]:
    """Lines without markup; the last where there are `samples` to try, which only the `embedded` reader is known to read.

    `token`: the variable that holds one for the line to try, "" where none is asked for, None where one is asked for and there is none;
    `tunnel`: a tunnel's token is set.
    """
    yield f"Keylike serves on {address} with the model {model}; its documentation is at {address}/docs"
    if tunnel:
        yield "NGROK_TOKEN is set, but this version opens no tunnel: only the address above is served."
    if token is None:
        yield "Readings ask for a token, and there is none yet. Make one:  python app.py tokens new phone"
    labels = samples / "labels.jsonl"
    if labels.is_file():
        first = json.loads(labels.read_text().partition("\n")[0])
        header = f'-H "X-API-Key: ${token or "TOKEN"}" ' if token != "" else ""
        yield f"Try it:  curl {header}-F image=@samples/{first['file']} {address}/"
        if embedded:
            yield f"It should read {first['keyway']} {','.join(map(str, first['bitting']))}"
