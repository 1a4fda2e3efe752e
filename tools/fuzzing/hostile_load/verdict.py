"""Holds answers against the contract: which statuses there may be, and what a failure and a reading must say."""

from __future__ import annotations

import json
import re
from typing import Any

from keylike.api.error_handlers import STATUS
from keylike.api.responses import API_VERSION
from tools.fuzzing.hostile_load.case import Case
from tools.fuzzing.hostile_load.wire import Answer, Outcome

# What a body must never show: where the code lies, which library was at work, and its own words.
_INSIDE = re.compile(
    rb'Traceback|File "|site-packages|\.py\b|0x[0-9a-f]{6,}|<!doctype|<html', re.IGNORECASE
)
_SERVER_FAILURES = {503, 504}


def faults(case: Case, outcome: Outcome) -> list[str]:
    """What was wrong, a line each; none where all was as it should be."""
    found = [outcome.trouble] if outcome.trouble else []
    for answer, method in zip(
        outcome.answers, (*case.methods, *("GET",) * len(outcome.answers)), strict=False
    ):
        found += _answer(answer, method)
    if case.reading is not None and outcome.answers:
        found += _reading(case.reading, outcome.answers[0])
    return found


def _answer(answer: Answer, method: str) -> list[str]:
    if answer.status >= 500 and answer.status not in _SERVER_FAILURES:
        return [f"status {answer.status}"]
    if answer.status < 400 or method == "HEAD":
        return (
            []
            if answer.status in (200, 204, 206, 304, *STATUS.values())
            else [f"status {answer.status}"]
        )
    if answer.headers.get("content-type") != "application/json":
        return [f"{answer.status} as {answer.headers.get('content-type')}"]
    try:
        body = json.loads(answer.body)
    except ValueError:
        return [f"{answer.status} without JSON"]
    return _failure(answer, body)


def _failure(answer: Answer, body: Any) -> list[str]:
    if not isinstance(body, dict):
        return [f"{answer.status} is no JSON object"]
    if answer.status == 503 and body.get("status") in ("unhealthy", "loading", "draining"):
        return [f"/health/detailed says {body['status']}: {body.get('reasons')}"]
    found = []
    if body.get("success") is not False or STATUS.get(str(body.get("code"))) != answer.status:
        found.append(f"{answer.status} with code {body.get('code')!r}")
    if not isinstance(body.get("error"), str) or not body["error"]:
        found.append(f"{answer.status} without a sentence")
    if (
        not re.fullmatch("[0-9a-f]{8}", str(body.get("request_id")))
        or not isinstance(body.get("timestamp"), int)
        or body.get("api_version") != API_VERSION
    ):
        found.append(f"{answer.status} without request_id, timestamp or api_version")
    if answer.status in (429, 503) and not answer.headers.get("retry-after", "").isdigit():
        found.append(f"{answer.status} without Retry-After")
    if _INSIDE.search(answer.body):
        found.append(f"{answer.status} tells what is inside")
    return found


def _reading(wanted: tuple[str, str], answer: Answer) -> list[str]:
    """Of a sound photo. Tells no code."""
    if answer.status != 200:
        return [f"a sound photo got {answer.status}"]
    body = json.loads(answer.body)
    return (
        []
        if (body.get("keyway"), body.get("bitting")) == wanted
        else ["a sound photo was read as another key"]
    )
