"""Complete the OpenAPI document: servers, tags, the version header and examples.

flask-openapi3 generates the description of each route. The examples are responses of a real server.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keylike.api.responses import API_VERSION, VERSION_HEADER
from keylike.api.versions import ACCEPTED, PREFIX

DESCRIPTION = """\
Send a photo of a house key. The answer has the keyway, the maker's code for the cuts, and the
probability that the code is right. Every failure is JSON with a `code` for programs and a sentence
in `error`. A photo that cannot be read is refused with a `reason` and `advice`.

Read only keys you own or have permission to copy."""
_TAGS = {
    "start": "What runs at this address.",
    "predictions": "A photo in, a reading or a classification out.",
    "health": "The state of the server, for people and for probes.",
    "cache": "The cache of readings.",
    "operator": "Metrics, times and memory, for the operator of the server.",
}
# Written by `python -m tools.openapi examples` from responses of a server with the embedded model.
_EXAMPLES = json.loads(Path(__file__).with_name("examples.json").read_text(encoding="utf-8"))
_PARAMETER = {
    "name": VERSION_HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": list(ACCEPTED)},
    "description": "The API version that the client expects. Any other value is refused with 400.",
}
_RESPONSE_HEADER = {
    "description": "The version of the API",
    "schema": {"type": "string", "const": API_VERSION},
}
_BAD_REQUEST = {
    "description": "Bad Request",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
}


def finish(described: dict[str, Any], *, root: str) -> dict[str, Any]:
    """Return the complete OpenAPI document.

    Args:
        described: The OpenAPI document that flask-openapi3 generates.
        root: Path under which a reverse proxy publishes the server, or an empty string.
    """
    components = described["components"]
    schemas = {
        name: schema | ({"examples": [_EXAMPLES[name]]} if name in _EXAMPLES else {})
        for name, schema in components["schemas"].items()
    }
    return {
        **described,
        # Each path is listed once. The prefix /v1 is described as a second base URL.
        "servers": [
            {"url": root or "/", "description": "The current version"},
            {"url": root + PREFIX, "description": "Version 1: the same routes"},
        ],
        "tags": [{**tag, "description": _TAGS[tag["name"]]} for tag in described.get("tags", [])],
        "paths": {path: _describe_path(item) for path, item in described["paths"].items()},
        "components": {
            **components,
            "schemas": schemas,
            "parameters": {"ApiVersion": _PARAMETER},
            "headers": {"ApiVersion": _RESPONSE_HEADER},
        },
    }


def _describe_path(item: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"parameters": [{"$ref": "#/components/parameters/ApiVersion"}]}
    header = {VERSION_HEADER: {"$ref": "#/components/headers/ApiVersion"}}
    for method, operation in item.items():
        responses = dict(sorted({"400": _BAD_REQUEST, **operation["responses"]}.items()))
        described[method] = {
            # An empty list means that the operation needs no token.
            "security": [],
            **operation,
            "responses": {
                status: {**response, "headers": header} for status, response in responses.items()
            },
        }
    return described
