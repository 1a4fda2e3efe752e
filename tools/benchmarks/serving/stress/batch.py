"""Batch scenario: one request with 32 photos, one of which is damaged.

All other photos must be read, and the results must be in the order of the photos.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tools.benchmarks.serving.photos import PhotoStream
from tools.benchmarks.serving.stress.connection import Connection
from tools.benchmarks.serving.stress.contract import Outcome, ScenarioOptions
from tools.benchmarks.serving.stress.server import Server

_PARTS, _BROKEN = 32, 17  # number of photos, index of the damaged one
_BOUNDARY = b"a-boundary-that-no-photo-holds"


async def _post(port: int, photos: list[bytes]) -> list[dict[str, Any]]:
    """Send the photos in one batch request, and return the result of each photo.

    The list is empty if the request failed.
    """
    part = (
        b"--%s\r\n"
        b'Content-Disposition: form-data; name="image"; filename="key.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n%s\r\n"
    )
    body = b"".join(part % (_BOUNDARY, photo) for photo in photos) + b"--%s--\r\n" % _BOUNDARY
    head = (
        b"POST /predict/batch HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n"
    )
    connection = await Connection.connect(port)
    await connection.send(head % (_BOUNDARY, len(body)) + body)
    response = await connection.response()
    connection.close()
    results: list[dict[str, Any]] = (
        json.loads(response.body)["results"] if response and response.status == 200 else []
    )
    return results


def batch(options: ScenarioOptions) -> Outcome:
    """Send the batch request, and check the number and order of the results.

    Each sample is sent alone first, to know its result.
    """
    samples, stream = options.photos("640x480"), PhotoStream(list(options.photos("640x480")))
    with Server(options.work / "batch") as server:
        expected = [asyncio.run(_post(server.port, [photo]))[0].get("bitting") for photo in samples]
        photos = [next(stream) for _ in range(_PARTS)]
        photos[_BROKEN] = photos[_BROKEN][:1000]
        results = asyncio.run(_post(server.port, photos))
    good = [at for at, result in enumerate(results) if result["success"]]
    failed = {at: results[at]["code"] for at in range(len(results)) if at not in good}
    in_order = all(results[at]["bitting"] == expected[at % len(expected)] for at in good)
    figures = {
        "parts": _PARTS,
        "results": len(results),
        "good": len(good),
        "failed": failed,
        "codes": len(set(expected)),
        "in_order": in_order,
    }
    targets = {
        "31 photos read and one failed": len(good) == _PARTS - 1
        and failed == {_BROKEN: "bad_image"},
        "in order": in_order,
    }
    return Outcome(figures, targets)
