"""Tests of API versions: routes under /v1 equal those without it; API-Version is checked."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from pydantic import SecretStr
from werkzeug.test import TestResponse

from keylike.configuration import batch_limit, body_limit
from keylike.service import Load, create_app
from keylike.settings import Settings
from tests.api.controlled_app import ControlledApp, crash
from tests.contract import check_described
from tests.running import PatientReader, Running, until
from tools.fuzzing.forms import form
from tools.plain_pictures import GREEN, RED, plain

PHOTO_PATHS = (
    "/",
    "/predict",
    "/predict/cached",
    "/predict/premium",
    "/predict/batch",
    "/classify/image",
)
REMOTE = {"REMOTE_ADDR": "203.0.113.7"}
# A pattern for the fields of a response that differ between two requests to the same route.
VARYING = re.compile(
    rb'"(request_id|timestamp|processing_ms|processing_time|uptime_s|seconds|percent|requests|'
    rb'hits|hit_rate|entries|read|cached|\w*rss\w*|\w*peak\w*|\w*free\w*|count|min|max|mean|p\d+)":'
    rb"\s*[^,}]+"
)
VARYING_HEADERS = ("X-Request-Id", "Content-Length", "Date", "X-RateLimit-Remaining")


def without_varying(response: TestResponse) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body without the values that differ between requests."""
    headers = {name: value for name, value in response.headers if name not in VARYING_HEADERS}
    body = response.get_data()
    if response.mimetype == "text/plain":
        body = b"\n".join(sorted(set(re.findall(rb"^# TYPE .*$", body, re.MULTILINE))))
    return response.status_code, headers, VARYING.sub(b"", body)


def routes(app: OpenAPI) -> list[tuple[str, str]]:
    """Return every method and path of an application, with one example path for static files."""
    files = {"/web/<path:filename>": "/web/page.js", "/docs/files/<path:filename>": None}
    return sorted(
        (method, path)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) | {"PUT"}
        if (path := files.get(rule.rule, rule.rule)) is not None
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.7"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_every_route_under_v1_responds_like_the_route_without_v1(
    settings: Settings, model: Load, address: str, accept: str
) -> None:
    changes = {"api_key": SecretStr("s3cret-token"), "limits": "off"}
    app = create_app(settings.model_copy(update=changes), load=model)
    client = app.test_client()
    bodies: list[dict[str, Any]] = [
        {"data": plain(), "content_type": "image/jpeg"},
        form(("image", plain()), ("image", b"no picture")),
    ]
    tokens: list[dict[str, str]] = [{}, {"X-API-Key": "s3cret-token"}, {"X-API-Key": "wrong"}]
    compared = 0
    for (method, path), token in itertools.product(routes(app), tokens):
        for body in bodies if method == "POST" else [{}]:
            plain_response, versioned = (
                client.open(
                    prefix + path,
                    method=method,
                    headers={"Accept": accept, "Origin": "https://app.example.org", **token},
                    environ_base={"REMOTE_ADDR": address},
                    buffered=True,
                    **body,
                )
                for prefix in ("", "/v1")
            )
            assert without_varying(plain_response) == without_varying(versioned), (method, path)
            compared += 1
    assert compared > 200


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_root_under_v1_reads_photos(client: FlaskClient, path: str) -> None:
    response = client.post(path, data=plain(), content_type="image/jpeg")
    assert (response.status_code, response.get_json()["bitting"]) == (200, "2,5,4,7,3")
    assert client.get(path).get_json()["name"] == "Keylike"


@pytest.mark.parametrize(
    "path", ["/v1/v1/health", "/v1//health", "/v1health", "/V1/health", "/v2/health", "/v1/nothing"]
)
def test_other_path_prefixes_are_not_found(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.get_json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("version", ["1", "2.0.0"])
@pytest.mark.parametrize("path", ["/health", "/v1/health"])
def test_known_api_version_is_accepted(client: FlaskClient, path: str, version: str) -> None:
    response = client.get(path, headers={"API-Version": version})
    assert (response.status_code, response.headers.getlist("API-Version")) == (200, ["2.0.0"])


@pytest.mark.parametrize(
    "version", ["", "2", "0", "1.0", "v1", "1, 1", "2.0.0.0", "\uff11", "1" * 9000]
)
@pytest.mark.parametrize("path", ["/health", "/v1/predict", "/metrics", "/nothing", "/web/page.js"])
def test_unknown_api_version_is_refused_on_every_path(
    client: FlaskClient, path: str, version: str
) -> None:
    for method in ("GET", "POST"):
        response = client.open(
            path, method=method, environ_base={**REMOTE, "HTTP_API_VERSION": version}
        )
        body = response.get_json()
        assert (response.status_code, body["code"], body["success"]) == (400, "bad_request", False)
        assert body["error"] == "API-Version must be 1 or 2.0.0."
        assert response.headers["API-Version"] == "2.0.0"


def test_response_to_an_unknown_api_version_matches_its_schema(client: FlaskClient) -> None:
    for path, method in (("/health", "get"), ("/metrics", "get"), ("/predict/batch", "post")):
        response = client.open(path, method=method, headers={"API-Version": "3"})
        assert check_described(client, response, path, method)["code"] == "bad_request"


def test_refused_api_version_does_not_count_against_the_rate_limit(
    settings: Settings, model: Load
) -> None:
    changes = {"limits": "on", "limit_address": "1 per minute", "policy": "open"}
    client = create_app(settings.model_copy(update=changes), load=model).test_client()
    photo: dict[str, Any] = {"data": plain(), "content_type": "image/jpeg"}
    assert [
        client.post("/predict", headers={"API-Version": version}, **photo).status_code
        for version in ("3", "3", "1", "1")
    ] == [400, 400, 200, 429]


def test_every_response_has_api_version(settings: Settings, model: Load) -> None:
    changes = {"api_key": SecretStr("s3cret-token")}
    client = create_app(settings.model_copy(update=changes), load=model).test_client()
    sent = {"headers": {"X-API-Key": "s3cret-token"}}
    responses = [
        client.get("/health"),
        client.get("/", headers={"Accept": "text/html"}, buffered=True),
        client.get("/v1/web/page.js", buffered=True),
        client.get("/sw.js"),
        client.get("/nothing"),
        client.put("/predict"),
        client.post("/predict"),
        client.options("/v1/predict", headers={"Origin": "https://app.example.org"}),
        client.post("/v1/predict", data=b"no picture", content_type="image/jpeg", **sent),
        client.post("/predict", data=bytes(16_000_000), content_type="image/jpeg", **sent),
    ]
    statuses = [response.status_code for response in responses]
    assert statuses == [200, 200, 200, 200, 404, 405, 401, 200, 415, 413]
    assert [response.headers.getlist("API-Version") for response in responses] == [["2.0.0"]] * 10


def test_crash_response_has_api_version(settings: Settings) -> None:
    app = ControlledApp(settings)
    app.reader.first = crash
    response = app.client.post("/v1/predict", data=plain(), content_type="image/jpeg")
    app.service.close()
    assert (response.status_code, response.headers["API-Version"]) == (500, "2.0.0")


def test_refusal_by_the_socket_server_has_api_version(full: Running) -> None:
    address = ("127.0.0.1", full.server.port)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = json.loads(response.read())
    assert (response.status, body["code"]) == (400, "bad_request")
    assert response.headers.get_all("API-Version") == ["2.0.0"]


def test_metrics_count_a_path_with_and_without_v1_as_one_route(settings: Settings) -> None:
    app = ControlledApp(settings)
    for path in ("/predict", "/v1/predict"):
        app.post(plain(), path)
    values = app.values()
    app.service.close()
    assert values["keylike_requests_total method=POST route=/predict status=200"] == 2
    assert not [name for name in values if "/v1" in name]


def test_api_version_is_allowed_and_exposed_to_pages_of_other_origins(client: FlaskClient) -> None:
    origin = {"Origin": "https://app.example.org"}
    preflight = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "api-version",
    }
    for path in ("/predict", "/v1/predict"):
        allowed = client.options(path, headers=preflight)
        assert allowed.headers["Access-Control-Allow-Headers"].lower() == "api-version"
        response = client.post(path, data=plain(), content_type="image/jpeg", headers=origin)
        exposed = response.headers["Access-Control-Expose-Headers"]
        assert "API-Version" in exposed.split(", ")


def test_openapi_document_has_v1_as_server_and_api_version_everywhere(
    client: FlaskClient,
) -> None:
    document = client.get("/openapi.json").get_json()
    assert [server["url"] for server in document["servers"]] == ["/", "/v1"]
    assert not [path for path in document["paths"] if path.startswith("/v1")]
    assert client.get("/v1/openapi.json").get_json() == document
    components = document["components"]
    assert components["parameters"]["ApiVersion"]["schema"]["enum"] == ["1", "2.0.0"]
    for item in document["paths"].values():
        assert item["parameters"] == [{"$ref": "#/components/parameters/ApiVersion"}]
        for operation in (item[method] for method in ("get", "post") if method in item):
            assert "400" in operation["responses"]
            for response in operation["responses"].values():
                reference = {"$ref": "#/components/headers/ApiVersion"}
                assert response["headers"] == {"API-Version": reference}


@pytest.fixture
def full(settings: Settings) -> Iterator[Running]:
    """Return a running server whose reader works on one photo while a second fills the queue."""
    reader = PatientReader()
    changed = settings.model_copy(update={"threads": 1, "queue": 1, "max_batch": 1})
    running = Running(changed, reader)
    photos = [plain(RED, size=(50, 40)), plain(GREEN, size=(60, 40))]
    with ThreadPoolExecutor(2) as clients:
        sent = [clients.submit(request, running, "POST", "/predict", photo) for photo in photos]
        until(lambda: waiting(running) == 1)
        yield running
        reader.allowed.set()
        assert [each.result(20)[0] for each in sent] == [200, 200]
    running.stop()


def request(
    running: Running, method: str, path: str, body: bytes = b"", kind: str = "image/jpeg"
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send a request over a socket and return status, headers and body."""
    connection = running.connect()
    connection.request(method, path, body, {"Content-Type": kind})
    response = connection.getresponse()
    answer = response.status, dict(response.headers), json.loads(response.read())
    connection.close()
    return answer


def waiting(running: Running) -> int:
    """Return the number of waiting photos, or 0 if the reader has not started yet."""
    queue = request(running, "GET", "/v1/health/detailed")[2]["queue"]
    return int(queue["waiting"]) if queue["reading"] else 0


@pytest.mark.parametrize("path", PHOTO_PATHS)
def test_full_queue_refuses_a_photo_before_its_body_is_parsed(full: Running, path: str) -> None:
    """Send a malformed body, which would give status 400 if the server parsed it."""
    for prefix in ("", "/v1"):
        status, headers, body = request(
            full, "POST", prefix + path, b"{" * 1000, "multipart/form-data; boundary=x"
        )
        if path == "/predict/premium":
            assert (status, body["code"]) == (401, "unauthorized")
        else:
            assert (status, body["code"]) == (503, "overloaded")
            assert int(headers["Retry-After"]) >= 1


def test_batch_under_v1_has_the_larger_body_limit_over_a_socket(settings: Settings) -> None:
    reader = PatientReader()
    reader.allowed.set()
    running = Running(settings, reader)
    padding = body_limit(settings) // 3
    photos = [plain(RED, size=(40 + side, 40)) + bytes(padding) for side in range(4)]
    batch = form(*[("image", photo) for photo in photos])
    assert body_limit(settings) < len(batch["data"]) < batch_limit(settings)
    for prefix in ("", "/v1"):
        status, _, body = request(
            running, "POST", f"{prefix}/predict/batch", batch["data"], batch["content_type"]
        )
        assert status == 200
        assert [each["success"] for each in body["results"]] == [True] * 4
        status, _, body = request(
            running, "POST", f"{prefix}/predict", batch["data"], batch["content_type"]
        )
        assert (status, body["code"]) == (413, "image_too_large")
    running.stop()
