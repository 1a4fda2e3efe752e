"""Requests that break the rules of HTTP itself: methods, addresses, headers, lengths, chunks, halves of requests, and many at once."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

from tools.fuzzing.damage import ANYWHERE
from tools.fuzzing.hostile_load.bodies import Body, photo_body
from tools.fuzzing.hostile_load.case import Case, Ending, request
from tools.fuzzing.hostile_load.words import (
    AFTERTHOUGHTS,
    CHUNK_ENDINGS,
    FRAMINGS,
    HEADERS,
    LENGTHS,
    METHODS,
    PATHS,
    PHOTO_PATHS,
    STRANGERS,
    TARGETS,
    VALUES,
    VERSIONS,
    WORDS,
)
from tools.fuzzing.pictures import broken


def strange_head(chance: Random) -> Case:
    """Any method at any address with any headers, complete in itself."""
    method = chance.choice(METHODS)
    target = (
        chance.choice((*PATHS, *TARGETS))
        if chance.random() < 0.8
        else "/" + quote(chance.choice(WORDS))
    )
    with_body = method in ("POST", "PUT", "PATCH", "DELETE")
    body = chance.choice((None, b"", broken(chance.getrandbits(40)), b"{}")) if with_body else None
    return Case("head", (request(method, target, _strange_headers(chance), body),), (method,))


def strange_length(chance: Random) -> Case:
    """A length that is none, that is another, or that is told twice; an encoding that is not known; bytes behind the end."""
    _, body = photo_body(chance, broken(chance.getrandbits(40)))
    right = len(body)
    told = [
        ("Content-Length", chance.choice((*LENGTHS, str(right), str(right + 50), str(right // 2))))
        for _ in range(chance.choice((1, 1, 2)))
    ]
    headers = [("Content-Type", "image/jpeg"), *told, *chance.choice(FRAMINGS)]
    return Case(
        "length",
        (request("POST", "/predict", headers, version=chance.choice(VERSIONS)) + body,),
        ending=Ending.ENDED,
    )


def chunked(chance: Random) -> Case:
    """A body in chunks without a length: as it should be, or with chunks that lie."""
    kind, body = photo_body(chance, broken(chance.getrandbits(40)))
    sizes = [chance.choice((1, 7, 100, 3000)) for _ in range(40)]
    pieces, at = (
        [
            request(
                "POST",
                chance.choice(PHOTO_PATHS),
                [("Content-Type", kind), ("Transfer-Encoding", "chunked")],
            )
        ],
        0,
    )
    for size in [*sizes, len(body)]:
        if piece := body[at : at + size]:
            pieces.append(b"%x\r\n" % len(piece) + piece + b"\r\n")
        at += size
    if chance.random() < 0.5:
        return Case("chunked", (*pieces, b"0\r\n\r\n"))
    if chance.random() < 0.5 and len(pieces) > 1:
        which = chance.randrange(1, len(pieces))
        pieces[which] = chance.choice(ANYWHERE)(chance, pieces[which])
    return Case("chunked", (*pieces, chance.choice(CHUNK_ENDINGS)), ending=Ending.ENDED)


def half(chance: Random) -> Case:
    """Part of a request, and the caller is gone: with a word, or without one."""
    kind, body = photo_body(chance, broken(chance.getrandbits(40)))
    whole = request("POST", chance.choice(PHOTO_PATHS), [("Content-Type", kind)], body)
    ending = chance.choice((Ending.ENDED, Ending.DROPPED))
    at = chance.randrange(len(whole)) if chance.random() < 0.8 else len(whole)
    return Case("half", (whole[:at],), ending=ending)


def pipelined(chance: Random) -> Case:
    """Several requests at once, each with its answer; or garbage behind the first."""
    requests = [_small(chance) for _ in range(chance.randint(2, 5))]
    if chance.random() < 0.5:
        return Case(
            "pipelined",
            (b"".join(data for _, data in requests),),
            tuple(method for method, _ in requests),
        )
    afterthought = chance.choice((chance.randbytes(chance.randint(1, 3000)), *AFTERTHOUGHTS))
    return Case("pipelined", (requests[0][1] + afterthought,), (requests[0][0],), Ending.ENDED)


def garbage(chance: Random) -> Case:
    """No HTTP at all, or a request with bytes of its head broken."""
    noise = chance.choice((chance.randbytes(chance.choice((1, 40, 2000, 40_000))), *STRANGERS))
    if chance.random() < 0.6:
        noise = chance.choice(ANYWHERE)(
            chance, request("POST", chance.choice(PATHS), _strange_headers(chance), b"{}")
        )
    return Case("garbage", (noise,), ending=Ending.ENDED)


def posted(chance: Random, kind: str, path: str, body: Body) -> Case:
    """A complete request with this body."""
    content_type, data = body
    headers = [("Content-Type", content_type.replace("\r", "").replace("\n", ""))]
    if chance.random() < 0.3:
        headers.append(("Connection", "close"))
    return Case(kind, (request("POST", path, headers, data),))


def _strange_headers(chance: Random) -> list[tuple[str, str]]:
    count = chance.choices((0, 1, 2, 4, 150, 1500), (3, 8, 6, 3, 1, 1))[0]
    if count > 100:
        return [(f"X-{at}", "y" * chance.choice((1, 20, 60))) for at in range(count)]
    return [(chance.choice(HEADERS), chance.choice(VALUES)) for _ in range(count)]


def _small(chance: Random) -> tuple[str, bytes]:
    if chance.random() < 0.5:
        return "GET", request("GET", chance.choice(PATHS))
    kind, body = photo_body(chance, broken(chance.getrandbits(40)))
    return "POST", request("POST", chance.choice(PHOTO_PATHS), [("Content-Type", kind)], body)
