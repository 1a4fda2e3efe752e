"""Thirty-two photos in one request, one of them broken: the others are read, and each answer stands where its photo stood."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tools.benchmarks.serving.photos import Stream
from tools.benchmarks.serving.stress.contract import Outcome, Terms
from tools.benchmarks.serving.stress.server import Server
from tools.benchmarks.serving.stress.wire import Wire

_PARTS, _BROKEN = 32, 17
_BOUNDARY = b"a-boundary-that-no-photo-holds"


async def _post(port: int, photos: list[bytes]) -> list[dict[str, Any]]:
    """What is told about each photo of a batch."""
    part = b'--%s\r\nContent-Disposition: form-data; name="image"; filename="key.jpg"\r\nContent-Type: image/jpeg\r\n\r\n%s\r\n'
    body = b"".join(part % (_BOUNDARY, photo) for photo in photos) + b"--%s--\r\n" % _BOUNDARY
    head = b"POST /predict/batch HTTP/1.1\r\nHost: keylike\r\nContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n"
    wire = await Wire.connect(port)
    await wire.send(head % (_BOUNDARY, len(body)) + body)
    answer = await wire.answer()
    wire.close()
    results: list[dict[str, Any]] = (
        json.loads(answer.body)["results"] if answer and answer.status == 200 else []
    )
    return results


def batch(terms: Terms) -> Outcome:
    """Each sample is asked about by itself first, so that it is known what stands where."""
    samples, stream = terms.photos("640x480"), Stream(list(terms.photos("640x480")))
    with Server(terms.work / "batch") as server:
        alone = [asyncio.run(_post(server.port, [photo]))[0].get("bitting") for photo in samples]
        photos = [next(stream) for _ in range(_PARTS)]
        photos[_BROKEN] = photos[_BROKEN][:1000]
        results = asyncio.run(_post(server.port, photos))
    good = [at for at, result in enumerate(results) if result["success"]]
    failed = {at: results[at]["code"] for at in range(len(results)) if at not in good}
    in_order = all(results[at]["bitting"] == alone[at % len(alone)] for at in good)
    figures = {
        "parts": _PARTS,
        "results": len(results),
        "good": len(good),
        "failed": failed,
        "codes": len(set(alone)),
        "in_order": in_order,
    }
    met = {
        "31 good answers and one failure": len(good) == _PARTS - 1
        and failed == {_BROKEN: "bad_image"},
        "in order": in_order,
    }
    return Outcome(figures, met)
