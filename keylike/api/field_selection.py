"""The query parameter `fields`: a client that needs only some fields gets a smaller response."""

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
    "description": "Names of the fields that the client needs, separated by commas. The fields up "
    "to `api_version` are always in the response; of the others, it contains only the named ones. "
    "So `fields=bitting` gives the smallest response. Without `fields`, it contains all.",
}


class FieldSelection:
    """The fields that the current request selects.

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
        """Remove the fields that were not selected from the body of a reading, and return it."""
        for name in self._dropped:
            del body[name]
        return body
