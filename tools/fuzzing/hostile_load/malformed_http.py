"""Builds cases that break the rules of HTTP.

They have unusual methods, paths and headers, wrong lengths, wrong chunks, partial requests, or
several requests at once.
"""

from __future__ import annotations

from random import Random
from urllib.parse import quote

from tools.fuzzing.broken_pictures import broken_picture
from tools.fuzzing.hostile_load.bodies import Body, photo_body
from tools.fuzzing.hostile_load.case import Case, Ending, request
from tools.fuzzing.hostile_load.payloads import (
    CHUNK_ENDINGS,
    FRAMINGS,
    HEADERS,
    LENGTHS,
    METHODS,
    OTHER_PROTOCOLS,
    PATHS,
    PHOTO_PATHS,
    TARGETS,
    TEXTS,
    TRAILING_BYTES,
    VALUES,
    VERSIONS,
)
from tools.fuzzing.mutations import BYTE_MUTATIONS


def unusual_request(rng: Random) -> Case:
    """Return a case with a complete request with a random method, path and headers."""
    method = rng.choice(METHODS)
    target = (
        rng.choice((*PATHS, *TARGETS)) if rng.random() < 0.8 else "/" + quote(rng.choice(TEXTS))
    )
    with_body = method in ("POST", "PUT", "PATCH", "DELETE")
    body = (
        rng.choice((None, b"", broken_picture(rng.getrandbits(40)), b"{}")) if with_body else None
    )
    return Case("unusual", (request(method, target, _unusual_headers(rng), body),), (method,))


def wrong_length(rng: Random) -> Case:
    """Return a case with a wrong or repeated Content-Length or an unknown transfer encoding."""
    _, body = photo_body(rng, broken_picture(rng.getrandbits(40)))
    correct = len(body)
    lengths = [
        (
            "Content-Length",
            rng.choice((*LENGTHS, str(correct), str(correct + 50), str(correct // 2))),
        )
        for _ in range(rng.choice((1, 1, 2)))
    ]
    headers = [("Content-Type", "image/jpeg"), *lengths, *rng.choice(FRAMINGS)]
    return Case(
        "wrong-length",
        (request("POST", "/predict", headers, version=rng.choice(VERSIONS)) + body,),
        ending=Ending.ENDED,
    )


def chunked(rng: Random) -> Case:
    """Return a case with a chunked body: valid, or with wrong chunks."""
    kind, body = photo_body(rng, broken_picture(rng.getrandbits(40)))
    sizes = [rng.choice((1, 7, 100, 3000)) for _ in range(40)]
    pieces, at = (
        [
            request(
                "POST",
                rng.choice(PHOTO_PATHS),
                [("Content-Type", kind), ("Transfer-Encoding", "chunked")],
            )
        ],
        0,
    )
    for size in [*sizes, len(body)]:
        if piece := body[at : at + size]:
            pieces.append(b"%x\r\n" % len(piece) + piece + b"\r\n")
        at += size
    if rng.random() < 0.5:
        return Case("chunked", (*pieces, b"0\r\n\r\n"))
    if rng.random() < 0.5 and len(pieces) > 1:
        index = rng.randrange(1, len(pieces))
        pieces[index] = rng.choice(BYTE_MUTATIONS)(rng, pieces[index])
    return Case("chunked", (*pieces, rng.choice(CHUNK_ENDINGS)), ending=Ending.ENDED)


def partial_request(rng: Random) -> Case:
    """Return a case with a part of a request. Then the client closes or resets the connection."""
    kind, body = photo_body(rng, broken_picture(rng.getrandbits(40)))
    data = request("POST", rng.choice(PHOTO_PATHS), [("Content-Type", kind)], body)
    ending = rng.choice((Ending.ENDED, Ending.DROPPED))
    at = rng.randrange(len(data)) if rng.random() < 0.8 else len(data)
    return Case("partial", (data[:at],), ending=ending)


def pipelined(rng: Random) -> Case:
    """Return a case with several requests that are sent at once, or one request and other bytes."""
    requests = [_small_request(rng) for _ in range(rng.randint(2, 5))]
    if rng.random() < 0.5:
        return Case(
            "pipelined",
            (b"".join(data for _, data in requests),),
            tuple(method for method, _ in requests),
        )
    trailing = rng.choice((rng.randbytes(rng.randint(1, 3000)), *TRAILING_BYTES))
    return Case("pipelined", (requests[0][1] + trailing,), (requests[0][0],), Ending.ENDED)


def not_http(rng: Random) -> Case:
    """Return a case with bytes that are not HTTP, or a request with randomly changed bytes."""
    noise = rng.choice((rng.randbytes(rng.choice((1, 40, 2000, 40_000))), *OTHER_PROTOCOLS))
    if rng.random() < 0.6:
        noise = rng.choice(BYTE_MUTATIONS)(
            rng, request("POST", rng.choice(PATHS), _unusual_headers(rng), b"{}")
        )
    return Case("not-http", (noise,), ending=Ending.ENDED)


def post_case(rng: Random, kind: str, path: str, body: Body) -> Case:
    """Return a case with a complete POST request with this body."""
    content_type, data = body
    headers = [("Content-Type", content_type.replace("\r", "").replace("\n", ""))]
    if rng.random() < 0.3:
        headers.append(("Connection", "close"))
    return Case(kind, (request("POST", path, headers, data),))


def _unusual_headers(rng: Random) -> list[tuple[str, str]]:
    count = rng.choices((0, 1, 2, 4, 150, 1500), (3, 8, 6, 3, 1, 1))[0]
    if count > 100:
        return [(f"X-{at}", "y" * rng.choice((1, 20, 60))) for at in range(count)]
    return [(rng.choice(HEADERS), rng.choice(VALUES)) for _ in range(count)]


def _small_request(rng: Random) -> tuple[str, bytes]:
    if rng.random() < 0.5:
        return "GET", request("GET", rng.choice(PATHS))
    kind, body = photo_body(rng, broken_picture(rng.getrandbits(40)))
    return "POST", request("POST", rng.choice(PHOTO_PATHS), [("Content-Type", kind)], body)
