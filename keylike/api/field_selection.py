"""The query parameter `fields`, with which a client asks for a smaller answer."""

from __future__ import annotations

from typing import Any

from flask import request

from keylike.api.schemas import SELECTABLE, TimedPrediction
from keylike.errors import BadRequest

FIELDS: dict[str, Any] = {
    "name": "fields",
    "in": "query",
    "required": False,
    "style": "form",
    "explode": False,
    "schema": {
        "type": "array",
        "items": {"type": "string", "enum": [*TimedPrediction.model_fields]},
    },
    "example": ["bitting", "confidence", "cuts"],
    "description": "Names of the fields that the client needs, separated by commas. Of the fields "
    "after `api_version`, the answer has only those. The earlier ones are always there, so "
    "`fields=bitting` gives the smallest answer. Without `fields`, all are there.",
}


class FieldSelection:
    """The fields that the current request asks for.

    Raises:
        BadRequest: A name is unknown.
    """

    def __init__(self) -> None:
        sent = ",".join(request.args.getlist("fields")).split(",")
        names = {name.strip() for name in sent} - {""}
        if not names <= TimedPrediction.model_fields.keys():
            raise BadRequest(
                "fields must be names of fields of the answer, separated by commas. These can be "
                f"left out: {', '.join(SELECTABLE)}."
            )
        self._dropped = [name for name in SELECTABLE if name not in names] if names else []

    def of(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body of a reading with only these fields."""
        for name in self._dropped:
            del body[name]
        return body
