"""Sends one case over a connection of its own and gives what came back, as far as it was HTTP."""

from __future__ import annotations

import io
import socket
import struct
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from tools.fuzzing.hostile_load.case import Case, Ending

_MOST_ANSWERS = 600


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by name in small letters. `took_s` from when everything was sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answers in order, and how the connection came to its end: None where it was as it should be, else in a word or two."""

    answers: tuple[Answer, ...]
    trouble: str | None
    took_s: float


class _Kept(io.BufferedReader):
    """What is read of a connection, for one answer after the other: the first does not close it."""

    def close(self) -> None:
        """Later."""


class _Readable:
    """As much of a socket as an answer wants of it."""

    def __init__(self, file: _Kept) -> None:
        self._file = file

    def makefile(self, *_: Any) -> _Kept:
        return self._file


def exchange(address: tuple[str, int], case: Case, patience_s: float) -> Outcome:
    """Never raises for what the server does; waits `patience_s` at most for each thing."""
    began = time.monotonic()
    try:
        with socket.create_connection(address, timeout=patience_s) as connection:
            return _spoken(connection, case, began)
    except OSError as error:
        return Outcome((), f"no connection: {type(error).__name__}", time.monotonic() - began)


def _spoken(connection: socket.socket, case: Case, began: float) -> Outcome:
    try:
        for piece in case.pieces:
            connection.sendall(piece)
        if case.ending is Ending.ENDED:
            connection.shutdown(socket.SHUT_WR)
    except TimeoutError:
        return Outcome((), "hang", time.monotonic() - began)
    except OSError:
        pass  # who has said all they want to may hang up before the rest is sent; what they said may still be read
    if case.ending is Ending.DROPPED:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return Outcome((), None, time.monotonic() - began)
    file = _Kept(socket.SocketIO(connection, "rb"))
    answers: list[Answer] = []
    trouble = _heard(file, case, answers)
    if trouble == "torn" and case.ending is Ending.ENDED:
        trouble = (
            None  # what was sent behind a refused request makes the system throw the refusal away
        )
    return Outcome(tuple(answers), trouble, time.monotonic() - began)


def _heard(file: _Kept, case: Case, answers: list[Answer]) -> str | None:
    """Fills `answers`; gives what went wrong."""
    wanted = len(case.methods) if case.ending is Ending.ANSWERED else _MOST_ANSWERS
    while len(answers) < wanted:
        method = case.methods[min(len(answers), len(case.methods) - 1)]
        sent = time.monotonic()
        try:
            if not file.peek(1):
                return (
                    None
                    if case.ending is Ending.ENDED or _told_to_leave(answers)
                    else "hung up without an answer"
                )
            answers.append(_answer(file, method, sent))
        except TimeoutError:
            return "hang"
        except (ConnectionError, HTTPException, ValueError) as error:
            return (
                "torn"
                if isinstance(error, ConnectionError | HTTPException)
                else f"no HTTP: {type(error).__name__}"
            )
    return None


def _answer(file: _Kept, method: str, sent: float) -> Answer:
    response = HTTPResponse(cast(socket.socket, _Readable(file)), method=method)
    response.begin()
    body = response.read()
    return Answer(
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        body,
        time.monotonic() - sent,
    )


def _told_to_leave(answers: list[Answer]) -> bool:
    """Whether the last answer said that no other request is taken on this connection."""
    return bool(answers) and answers[-1].headers.get("connection", "").lower() == "close"
