"""Tests of the web page, the documentation pages, the OpenAPI document, and CORS."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin

from flask import Flask
from flask.testing import FlaskClient

from keylike.api.web_pages import web_blueprint
from keylike.configuration import batch_limit, binding
from keylike.resources import WEB
from keylike.service import Load, create_app
from keylike.settings import Settings
from tests.contract import check_described
from tools.plain_pictures import plain


def test_root_returns_json_to_programs_and_the_page_to_browsers(client: FlaskClient) -> None:
    assert check_described(client, client.get("/"), "/", "get")["name"] == "Keylike"
    page = client.get(
        "/",
        headers={"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
        buffered=True,
    )
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "Accept" in page.headers["Vary"]
    assert 'type="file"' in page.text
    assert "http" not in page.text


def test_service_worker_lists_every_file_of_the_page(client: FlaskClient) -> None:
    worker = client.get("/sw.js")
    assert (worker.status_code, worker.mimetype, worker.headers["Cache-Control"]) == (
        200,
        "text/javascript",
        "no-cache",
    )
    listed = re.search(r"\[\s*((?:\"[a-z-]+\",?\s*)+)\]\s*\.map\(name => `web/parts/", worker.text)
    assert listed
    assert set(re.findall("[a-z-]+", listed[1])) == {
        path.stem for path in (WEB / "parts").iterdir()
    }
    for sheet in (WEB / "styles").iterdir():
        assert f'"{sheet.stem}"' in worker.text


def test_service_worker_changes_with_any_file_of_the_page(tmp_path: Path) -> None:
    def worker() -> str:
        app = Flask("pages")
        app.register_blueprint(web_blueprint(tmp_path))
        return app.test_client().get("/sw.js").text

    for name, text in (("sw.js", "worker"), ("page.js", "one")):
        (tmp_path / name).write_text(text)
    before = worker()
    assert before == worker() and before.endswith("worker")
    (tmp_path / "page.js").write_text("two")
    assert worker() != before


def test_docs_page_loads_only_files_of_this_server(client: FlaskClient) -> None:
    page = client.get("/docs", buffered=True).text
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(links) == 4
    for link in links:
        assert link.startswith("data:") or client.get(link, buffered=True).status_code == 200
    assert "http" not in page


def test_openapi_document_lists_every_route_and_content_type(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    assert set(document["paths"]) == {
        "/",
        "/predict",
        "/predict/batch",
        "/predict/cached",
        "/predict/premium",
        "/classify/image",
        "/cache/stats",
        "/version",
        "/health",
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/health/detailed",
        "/metrics",
        "/debug/performance",
        "/debug/memory",
    }
    assert set(document["paths"]["/"]) == {"parameters", "get", "post"}
    body = document["paths"]["/"]["post"]["requestBody"]
    bodies = {"multipart/form-data", "application/json", "application/octet-stream"}
    assert set(body["content"]) == bodies
    assert "image/jpeg" in body["description"] and "image/heic" in body["description"]


def test_openapi_document_lists_only_possible_responses(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    assert set(document["paths"]["/health"]["get"]["responses"]) == {"200", "400", "500"}
    assert set(document["paths"]["/predict"]["post"]["responses"]) == {
        *("200", "400", "401", "403", "413", "415", "422", "429", "500", "503", "504")
    }
    assert "ValidationErrorModel" not in document["components"]["schemas"]
    assert document["paths"]["/predict"]["post"]["security"] == []


def test_preflight_from_another_origin_allows_the_request_headers(client: FlaskClient) -> None:
    names = "ngrok-skip-browser-warning, content-type, authorization, x-api-key, x-request-timeout"
    headers = {
        "Origin": "https://phone.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": names,
    }
    answer = client.options("/predict", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://phone.example")
    assert {
        name.strip() for name in answer.headers["Access-Control-Allow-Headers"].lower().split(",")
    } == set(names.split(", "))


def test_responses_and_failures_are_readable_from_another_origin(client: FlaskClient) -> None:
    for path in ("/health", "/nowhere"):
        assert (
            "Access-Control-Allow-Origin"
            in client.get(path, headers={"Origin": "https://phone.example"}).headers
        )


def test_path_prefix_without_a_slash_redirects_to_the_page(settings: Settings, model: Load) -> None:
    changed = settings.model_copy(update={"prefix": "/keys"})
    client = create_app(changed, load=model).test_client()
    response = client.get("/keys")
    assert (response.status_code, response.headers["Location"]) == (308, "/keys/")
    photo = client.post("/keys", data=plain(), content_type="image/jpeg").get_json()
    assert photo["bitting"] == "2,5,4,7,3"


def test_batch_route_under_a_path_prefix_has_the_larger_body_limit(settings: Settings) -> None:
    limits = binding(settings.model_copy(update={"prefix": "/keys"})).max_body_bytes_by_path
    assert limits["/keys/v1/predict/batch"] == limits["/predict/batch"] == batch_limit(settings)


def test_docs_page_loads_its_files_if_its_address_ends_with_a_slash(client: FlaskClient) -> None:
    page = client.get("/docs/", buffered=True).text
    for link in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert client.get(urljoin("/docs/", link), buffered=True).status_code == 200


def test_version_returns_the_api_version_and_the_model(client: FlaskClient) -> None:
    body = check_described(client, client.get("/version"), "/version", "get")
    assert (body["version"], body["model"]) == ("2.0.0", "colour-1.0.0")


def test_favicon_is_an_icon(client: FlaskClient) -> None:
    response = client.get("/favicon.ico", buffered=True)
    assert response.mimetype == "image/x-icon"
    assert response.data.startswith(b"\x00\x00\x01\x00")
