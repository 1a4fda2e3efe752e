"""GET / and /version, the web page with its service worker, the OpenAPI document and its viewer.

The pages load files from this server only.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import mimetypes
from pathlib import Path
from typing import Any, cast

import flask_openapi3_swagger
from flask import Blueprint, Request, Response, current_app, jsonify, request, send_file
from flask_openapi3 import APIBlueprint, OpenAPI, Tag

from keylike.api import document, versions
from keylike.api.responses import API_VERSION
from keylike.api.schemas import Failure, VersionOut, Welcome
from keylike.engines.engine_slot import EngineSlot

_START = Tag(name="start")
_ROOT: dict[Any, Any] = {
    200: {
        "description": "JSON for programs, a page for browsers",
        "content": {
            "application/json": {"schema": Welcome.model_json_schema()},
            "text/html": {"schema": {"type": "string"}},
        },
    },
    500: Failure,
}


_VERSION: dict[Any, Any] = {200: VersionOut, 500: Failure}


def add_welcome(predictions: APIBlueprint, model: EngineSlot, web: Path) -> None:
    """Add GET / and GET /version to the blueprint of POST /.

    It does not create a second blueprint, because flask-openapi3 would then document only one of
    GET / and POST /.

    Args:
        predictions: The blueprint of POST /.
        model: Holds the engine. The responses contain the name of its model.
        web: The folder of the web page.
    """

    try:
        release = importlib.metadata.version("keylike")
    except importlib.metadata.PackageNotFoundError:
        # In a checkout that is not installed, the version of the API is shown instead.
        release = API_VERSION

    @predictions.get("/", tags=[_START], operation_id="getWelcome", responses=_ROOT)
    def welcome() -> Response:
        """Return the addresses of the API, or the web page for browsers."""
        if wants_page(request):
            response = send_file(web / "index.html")
        else:
            root = public_root(request)
            response = jsonify(
                name="Keylike",
                api_version=API_VERSION,
                model=model.name,
                predict=f"{root}/predict",
                health=f"{root}/health",
                docs=f"{root}/docs",
                openapi=f"{root}/openapi.json",
            )
        response.vary.add("Accept")
        return response

    @predictions.get("/version", tags=[_START], operation_id="getVersion", responses=_VERSION)
    def version() -> Response:
        """Return the versions of the server, its API and its model."""
        return jsonify(
            name="Keylike",
            version=release,
            api_version=API_VERSION,
            model=model.name,
        )


def public_root(incoming: Request) -> str:
    """Return the path under which a reverse proxy publishes the server, or an empty string."""
    return incoming.root_path.rstrip("/").removesuffix(versions.PREFIX)


def wants_page(incoming: Request) -> bool:
    """Return True if a request is for the root path and prefers HTML to JSON, as browsers do."""
    opens = incoming.method in ("GET", "HEAD") and incoming.path == "/"
    return (
        opens
        and incoming.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
    )


def web_blueprint(web: Path) -> Blueprint:
    """Return the routes /web, /favicon.ico and /sw.js, the service worker.

    Scripts and styles are separate files, so that the security policy need not allow inline code.
    The service worker is served at the root path, because it can control only paths below its own.
    """
    # Python before 3.13 knows it only from files of the operating system.
    mimetypes.add_type("image/webp", ".webp")
    pages = Blueprint("web", __name__, static_folder=web, static_url_path="/web")
    worker = f'const VERSION = "{_digest(web)}"\n' + (web / "sw.js").read_text(encoding="utf-8")

    @pages.get("/sw.js")
    def service_worker() -> Response:
        response = Response(worker, mimetype="text/javascript")
        response.cache_control.no_cache = True
        return response

    @pages.get("/favicon.ico")
    def favicon() -> Response:
        return send_file(web / "icons" / "favicon.ico", mimetype="image/x-icon")

    return pages


def _digest(folder: Path) -> str:
    """Return a digest of all files in a folder. Browsers reload the page when it changes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(
        b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)
    ).hexdigest()[:16]


def docs_blueprint(web: Path) -> Blueprint:
    """Return /openapi.json and /docs, with the files of Swagger UI from the installed package.

    Addresses in the page are relative, so that it works under any path of a reverse proxy.
    """
    files = Path(flask_openapi3_swagger.__path__[0]) / "templates" / "swagger"
    viewer = (web / "docs.html").read_text(encoding="utf-8")
    docs = Blueprint("docs", __name__, static_folder=files, static_url_path="/docs/files")

    @docs.get("/openapi.json")
    def openapi() -> Response:
        described = cast(OpenAPI, current_app).api_doc
        return jsonify(document.finish(described, root=public_root(request)))

    @docs.get("/docs")
    @docs.get("/docs/")
    def page() -> Response:
        root = "../" if request.path.endswith("/") else ""
        return Response(viewer.replace("{root}", root), mimetype="text/html")

    return docs
