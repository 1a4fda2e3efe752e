"""GET /, the files of the web page, its service worker, the OpenAPI document and its viewer.

Everything comes from this server; the pages load nothing from elsewhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import flask_openapi3_swagger
from flask import Blueprint, Request, Response, current_app, jsonify, request, send_file
from flask_openapi3 import APIBlueprint, OpenAPI, Tag

from keylike.api import versions
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
    """Add GET / to the blueprint of POST /.

    Of two blueprints with the same path, flask-openapi3 would document only the later.

    Args:
        predictions: The blueprint of POST /.
        model: The slot of the model, whose name the response shows.
        web: The folder of the page.
    """

    @predictions.get("/", tags=[Tag(name="start")], operation_id="welcome", responses=_ROOT)
    def welcome() -> Response:
        """Return the addresses of the API, or the web page for browsers."""
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


def wants_page(incoming: Request) -> bool:
    """Return True if a browser opens the root path and so gets the page instead of JSON."""
    opens = incoming.method in ("GET", "HEAD") and incoming.path == "/"
    return (
        opens
        and incoming.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
    )


def web_blueprint(web: Path) -> Blueprint:
    """Return the routes /web, with scripts and styles, and /sw.js, the service worker.

    Scripts and styles are separate files, so that the security policy need not allow inline ones.
    The service worker is at the top because it may control only paths below its own.
    """
    pages = Blueprint("web", __name__, static_folder=web, static_url_path="/web")
    worker = f'const VERSION = "{_digest(web)}"\n' + (web / "sw.js").read_text(encoding="utf-8")

    @pages.get("/sw.js")
    def service_worker() -> Response:
        response = Response(worker, mimetype="text/javascript")
        response.cache_control.no_cache = True
        return response

    return pages


def _digest(folder: Path) -> str:
    """Return a digest of all files in a folder. Browsers update the page when it changes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(
        b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)
    ).hexdigest()[:16]


def docs_blueprint(web: Path) -> Blueprint:
    """Return /openapi.json and /docs, with the files of Swagger UI from the installed package."""
    files = Path(flask_openapi3_swagger.__path__[0]) / "templates" / "swagger"
    docs = Blueprint("docs", __name__, static_folder=files, static_url_path="/docs/files")

    @docs.get("/openapi.json")
    def document() -> Response:
        return jsonify(versions.describe(cast(OpenAPI, current_app).api_doc))

    @docs.get("/docs")
    def page() -> Response:
        return send_file(web / "docs.html")

    return docs
