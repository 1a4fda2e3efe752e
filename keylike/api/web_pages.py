"""GET / with the page's files and its service worker, the OpenAPI document, and the page that shows it: nothing comes from elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import flask_openapi3_swagger
from flask import Blueprint, Request, Response, current_app, jsonify, request, send_file
from flask_openapi3 import APIBlueprint, OpenAPI, Tag

from keylike.api.responses import API_VERSION
from keylike.api.schemas import Failure
from keylike.api.schemas import Welcome as WelcomeOut
from keylike.engines.engine_slot import EngineSlot

_ROOT: dict[Any, Any] = {
    200: {
        "description": "JSON for programs, a page for browsers",
        "content": {
            "application/json": {"schema": WelcomeOut.model_json_schema()},
            "text/html": {"schema": {"type": "string"}},
        },
    },
    500: Failure,
}


def add_welcome(predictions: APIBlueprint, model: EngineSlot, web: Path) -> None:
    """Adds what is found at the address itself; `web` is the folder of the page.

    It shares the blueprint of POST /, since of two blueprints with the same path the document keeps only the later.
    """

    @predictions.get("/", tags=[Tag(name="start")], operation_id="welcome", responses=_ROOT)
    def welcome() -> Response:
        """What this is, and where everything else is."""
        if wants_page(request):
            response = send_file(web / "index.html")
        else:
            response = jsonify(
                name="Keylike",
                api_version=API_VERSION,
                model=model.name,
                predict="/predict",
                health="/health",
                docs="/docs",
                openapi="/openapi.json",
            )
        response.vary.add("Accept")
        return response


def wants_page(asked: Request) -> bool:
    """Whether a browser goes to the address itself: that gets the page, and programs JSON."""
    goes = asked.method in ("GET", "HEAD") and asked.path == "/"
    return (
        goes and asked.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
    )


def web_blueprint(web: Path) -> Blueprint:
    """/web: scripts and styles of the pages, as files of their own, so that no page has to allow what is written into it. /sw.js: the
    service worker, which lies at the top since it may only look after what lies beneath it."""
    pages = Blueprint("web", __name__, static_folder=web, static_url_path="/web")
    worker = f'const VERSION = "{_digest(web)}"\n' + (web / "sw.js").read_text(encoding="utf-8")

    @pages.get("/sw.js")
    def service_worker() -> Response:
        response = Response(worker, mimetype="text/javascript")
        response.cache_control.no_cache = True
        return response

    return pages


def _digest(folder: Path) -> str:
    """Of all files in it: browsers renew what they keep of a page once this changes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(
        b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)
    ).hexdigest()[:16]


def docs_blueprint(web: Path) -> Blueprint:
    """/openapi.json and /docs, with the files of Swagger UI out of the installed package."""
    files = Path(flask_openapi3_swagger.__path__[0]) / "templates" / "swagger"
    docs = Blueprint("docs", __name__, static_folder=files, static_url_path="/docs/files")

    @docs.get("/openapi.json")
    def document() -> Response:
        return jsonify(cast(OpenAPI, current_app).api_doc)

    @docs.get("/docs")
    def page() -> Response:
        return send_file(web / "docs.html")

    return docs
