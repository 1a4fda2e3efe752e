"""Checks responses against the API contract: statuses, failure bodies and readings."""

from __future__ import annotations

import json
import re
from typing import Any

from keylike.api.error_handlers import STATUS
from keylike.api.responses import API_VERSION
from tools.fuzzing.hostile_load.case import Case
from tools.fuzzing.hostile_load.exchange import Exchange, Response

# Text that must not be in a failure body: source locations, addresses in memory, and HTML.
_INTERNALS = re.compile(
    rb'Traceback|File "|site-packages|\.py\b|0x[0-9a-f]{6,}|<!doctype|<html', re.IGNORECASE
)
_ALLOWED_SERVER_ERRORS = {503, 504}


def violations(case: Case, outcome: Exchange) -> list[str]:
    """Return one line for each violation of the contract, or an empty list."""
    found = [outcome.problem] if outcome.problem else []
    for response, method in zip(
        outcome.responses, (*case.methods, *("GET",) * len(outcome.responses)), strict=False
    ):
        found += _check_response(response, method)
    if case.expected_reading is not None and outcome.responses:
        found += _check_reading(case.expected_reading, outcome.responses[0])
    return found


def _check_response(response: Response, method: str) -> list[str]:
    if response.status >= 500 and response.status not in _ALLOWED_SERVER_ERRORS:
        return [f"status {response.status}"]
    if response.status < 400 or method == "HEAD":
        return (
            []
            if response.status in (200, 204, 206, 304, *STATUS.values())
            else [f"status {response.status}"]
        )
    if response.headers.get("content-type") != "application/json":
        return [f"{response.status} as {response.headers.get('content-type')}"]
    try:
        body = json.loads(response.body)
    except ValueError:
        return [f"{response.status} without JSON"]
    return _check_failure(response, body)


def _check_failure(response: Response, body: Any) -> list[str]:
    if not isinstance(body, dict):
        return [f"{response.status} is not a JSON object"]
    if response.status == 503 and body.get("status") in ("unhealthy", "loading", "draining"):
        return [f"/health/detailed says {body['status']}: {body.get('reasons')}"]
    found = []
    if body.get("success") is not False or STATUS.get(str(body.get("code"))) != response.status:
        found.append(f"{response.status} with code {body.get('code')!r}")
    if not isinstance(body.get("error"), str) or not body["error"]:
        found.append(f"{response.status} without an error message")
    if (
        not re.fullmatch("[0-9a-f]{8}", str(body.get("request_id")))
        or not isinstance(body.get("timestamp"), int)
        or body.get("api_version") != API_VERSION
    ):
        found.append(f"{response.status} without request_id, timestamp or api_version")
    if response.status in (429, 503) and not response.headers.get("retry-after", "").isdigit():
        found.append(f"{response.status} without Retry-After")
    if _INTERNALS.search(response.body):
        found.append(f"{response.status} reveals internals")
    return found


def _check_reading(expected: tuple[str, str], response: Response) -> list[str]:
    """Check the reading of a valid photo. The messages do not contain its code."""
    if response.status != 200:
        return [f"a valid photo got {response.status}"]
    body = json.loads(response.body)
    return (
        []
        if (body.get("keyway"), body.get("bitting")) == expected
        else ["a valid photo was read as another key"]
    )
