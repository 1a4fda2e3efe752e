"""Tests of access to every route: under every policy, with every token tier, local and remote."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from keylike.access.policy import Need
from keylike.access.store import TokenStore
from keylike.access.tokens import Tier
from keylike.api.authentication import need_of
from keylike.service import Load, create_app
from keylike.settings import Settings
from tests.conftest import NOW
from tests.contract import check_described, check_failure
from tools.plain_pictures import plain

ONE = "s3cret-token-of-the-settings"
REMOTE = {"REMOTE_ADDR": "203.0.113.7"}
# The access need of each route. The first test fails if a route is missing here.
ROUTES = {
    ("GET", "/health/live"): Need.NOTHING,
    ("GET", "/health"): Need.PUBLIC,
    ("GET", "/health/ready"): Need.PUBLIC,
    ("GET", "/health/startup"): Need.PUBLIC,
    ("GET", "/health/detailed"): Need.PUBLIC,
    ("GET", "/"): Need.PUBLIC,
    ("GET", "/docs"): Need.PUBLIC,
    ("GET", "/docs/"): Need.PUBLIC,
    ("GET", "/version"): Need.PUBLIC,
    ("GET", "/favicon.ico"): Need.NOTHING,
    ("GET", "/openapi.json"): Need.PUBLIC,
    ("GET", "/docs/files/<path:filename>"): Need.PUBLIC,
    ("GET", "/web/<path:filename>"): Need.NOTHING,
    ("GET", "/sw.js"): Need.NOTHING,
    ("POST", "/"): Need.PHOTOS,
    ("POST", "/predict"): Need.PHOTOS,
    ("POST", "/predict/cached"): Need.PHOTOS,
    ("POST", "/predict/batch"): Need.PHOTOS,
    ("POST", "/classify/image"): Need.PHOTOS,
    ("POST", "/predict/premium"): Need.PREMIUM,
    ("GET", "/metrics"): Need.OPERATOR,
    ("GET", "/debug/performance"): Need.OPERATOR,
    ("GET", "/debug/memory"): Need.OPERATOR,
    ("GET", "/cache/stats"): Need.OPERATOR,
}
# Who has remote access, as one letter each: (n)o token, (f)ree, (p)remium and (a)dmin tokens.
EVERYBODY, FREE, PREMIUM, ADMIN = "nfpa", "fpa", "pa", "a"
ALLOWED = {
    "open": {Need.PUBLIC: EVERYBODY, Need.PHOTOS: EVERYBODY},
    "predictions": {Need.PUBLIC: EVERYBODY, Need.PHOTOS: FREE},
    "all": {Need.PUBLIC: FREE, Need.PHOTOS: FREE},
}


class GuardedApp:
    """An application with one valid token of each tier."""

    def __init__(self, settings: Settings, model: Load, tmp_path: Path, **changes: Any) -> None:
        self.store = TokenStore(tmp_path / "tokens.sqlite3", lambda: NOW)
        self.tokens = {
            "n": "",
            **{tier.value[0]: self.store.new(tier.value, tier, None) for tier in Tier},
        }
        changed = settings.model_copy(
            update={"tokens": tmp_path / "tokens.sqlite3", "limits": "off", **changes}
        )
        self.flask = create_app(changed, load=model, wall=lambda: NOW)
        self.client: FlaskClient = self.flask.test_client()

    def send(self, method: str, path: str, token: str, **more: Any) -> TestResponse:
        """Send a request with the token of a tier, which the letter `token` selects."""
        headers = {"X-API-Key": self.tokens[token]} if self.tokens[token] else {}
        path = path.replace("docs/files/<path:filename>", "docs/files/css/swagger-ui.css").replace(
            "<path:filename>", "docs.js"
        )
        return self.client.open(path, method=method, headers=headers, buffered=True, **more)


@pytest.fixture
def guarded(settings: Settings, model: Load, tmp_path: Path) -> GuardedApp:
    """Return an application whose photo routes require a token."""
    return GuardedApp(settings, model, tmp_path, policy="predictions")


def test_every_route_has_an_expected_need(guarded: GuardedApp) -> None:
    found = {
        (method, rule.rule): need_of(rule.endpoint)
        for rule in guarded.flask.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert found == ROUTES


def test_route_without_a_listed_need_requires_an_operator(guarded: GuardedApp) -> None:
    guarded.flask.add_url_rule("/forgotten", view_func=lambda: "secret")
    assert guarded.client.get("/forgotten", environ_base=REMOTE).status_code == 401
    assert guarded.send("GET", "/forgotten", "a", environ_base=REMOTE).status_code == 200


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("policy", ALLOWED)
def test_remote_access_to_every_route_follows_the_policy(
    settings: Settings, model: Load, tmp_path: Path, policy: str, prefix: str
) -> None:
    guarded = GuardedApp(settings, model, tmp_path, policy=policy)
    allowed = {Need.NOTHING: EVERYBODY, Need.PREMIUM: PREMIUM, Need.OPERATOR: ADMIN} | ALLOWED[
        policy
    ]
    for ((method, path), need), token in itertools.product(ROUTES.items(), EVERYBODY):
        status = guarded.send(method, prefix + path, token, environ_base=REMOTE).status_code
        expected = "allowed" if token in allowed[need] else 401 if token == "n" else 403
        assert (status if status in (401, 403) else "allowed") == expected, (
            method,
            path,
            token,
        )


def test_web_page_needs_no_token_under_the_strictest_policy(
    settings: Settings, model: Load, tmp_path: Path
) -> None:
    guarded = GuardedApp(settings, model, tmp_path, policy="all")
    page = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    answer = guarded.client.get("/", headers=page, environ_base=REMOTE, buffered=True)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    # Other requests need a token: JSON on the same path, because it names the model, and a photo,
    # even with the Accept header of a browser.
    assert guarded.client.get("/", environ_base=REMOTE).status_code == 401
    for path in ("/", "/predict"):
        refused = guarded.client.post(
            path, data=plain(), content_type="image/jpeg", headers=page, environ_base=REMOTE
        )
        assert refused.status_code == 401
    for path in ("/docs", "/openapi.json", "/health", "/metrics"):
        assert guarded.client.get(path, headers=page, environ_base=REMOTE).status_code == 401


def test_local_program_is_operator_unless_the_policy_is_all(
    settings: Settings, model: Load, tmp_path: Path
) -> None:
    for number, (policy, status) in enumerate([("open", 200), ("predictions", 200), ("all", 401)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert (
            GuardedApp(settings, model, folder, policy=policy)
            .send("GET", "/metrics", "n")
            .status_code
            == status
        )


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example:5000",
        "attacker.example",
        "127.0.0.1.attacker.example",
        "[::1",
        "192.168.1.5:5000",
    ],
)
def test_local_request_with_a_foreign_host_header_is_not_operator(
    guarded: GuardedApp, host: str
) -> None:
    assert guarded.client.get("/metrics", headers={"Host": host}).status_code == 401
    assert guarded.client.get("/health/detailed", headers={"Host": host}).status_code == 403
    forwarded = {"Host": host, "X-Forwarded-For": "203.0.113.7"}
    assert guarded.client.get("/health/detailed", headers=forwarded).status_code == 200
    for own in ("localhost:5000", "127.0.0.1:5000", "[::1]:5000"):
        assert guarded.client.get("/metrics", headers={"Host": own}).status_code == 200


def test_local_request_from_a_page_of_another_origin_is_not_operator(guarded: GuardedApp) -> None:
    for origin, status in (
        ("http://localhost", 200),
        ("http://localhost:81", 401),
        ("null", 401),
        ("https://attacker.example", 401),
    ):
        assert guarded.client.get("/metrics", headers={"Origin": origin}).status_code == status


@pytest.mark.parametrize(
    "origin",
    [
        "http://[",
        "http://[::1",
        "http://[localhost]",
        "//localhost",
        "ftp://localhost",
        "http://localhost/x",
        "",
    ],
)
def test_malformed_origin_counts_as_another_origin(guarded: GuardedApp, origin: str) -> None:
    assert guarded.client.get("/metrics", headers={"Origin": origin}).status_code == 401
    assert guarded.client.get("/health/live", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    ("site", "status"),
    [("none", 200), ("same-origin", 200), ("same-site", 401), ("cross-site", 401), ("?", 401)],
)
def test_local_request_by_a_page_of_another_site_is_not_operator(
    guarded: GuardedApp, site: str, status: int
) -> None:
    """Check Sec-Fetch-Site, because browsers request images and scripts without Origin."""
    assert (
        guarded.client.get("/debug/memory", headers={"Sec-Fetch-Site": site}).status_code == status
    )


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": "{}"}, {"Authorization": "Bearer {}"}, {"Authorization": "bearer   {} "}],
)
def test_token_in_either_header_is_accepted(guarded: GuardedApp, headers: dict[str, str]) -> None:
    sent = {name: value.format(guarded.tokens["f"]) for name, value in headers.items()}
    assert (
        guarded.client.post(
            "/predict", data=plain(), content_type="image/jpeg", headers=sent
        ).status_code
        == 200
    )


def test_invalid_token_is_refused(guarded: GuardedApp) -> None:
    free = guarded.tokens["f"]
    wrong = (
        "",
        free[:-1],
        free + "x",
        free.upper(),
        "ü",
        "\ud800",
        "' OR 1=1 --",
        free + "\0",
        "a" * 20_000,
    )
    sent = [
        {},
        *({"X-API-Key": value} for value in wrong),
        {"Authorization": f"Basic {free}"},
        {"Authorization": free},
    ]
    for headers in sent:
        environ = {
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()
        }
        response = guarded.client.post(
            "/predict", data=plain(), content_type="image/jpeg", environ_base=environ
        )
        check_failure(guarded.client, response, 401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (
        guarded.client.post(
            f"/predict?token={free}&X-API-Key={free}", data=plain(), content_type="image/jpeg"
        ).status_code
        == 401
    )


def test_token_of_too_low_a_tier_gets_403(guarded: GuardedApp) -> None:
    refused = guarded.send("POST", "/predict/premium", "f", data=plain(), content_type="image/jpeg")
    body = check_described(guarded.client, refused, "/predict/premium", "post")
    assert (refused.status_code, body["code"]) == (403, "forbidden")
    assert "premium" in body["error"] and guarded.tokens["f"] not in refused.text
    read = guarded.send("POST", "/predict/premium", "p", data=plain(), content_type="image/jpeg")
    assert (
        check_described(guarded.client, read, "/predict/premium", "post")["bitting"] == "2,5,4,7,3"
    )


def test_token_created_or_revoked_while_running_takes_effect_at_once(guarded: GuardedApp) -> None:
    other_process = TokenStore(guarded.store.path, lambda: NOW)
    guarded.tokens["new"] = other_process.new("phone", Tier.FREE, 60.0)
    assert (
        guarded.send("POST", "/predict", "new", data=plain(), content_type="image/jpeg").status_code
        == 200
    )
    other_process.revoke("phone")
    assert (
        guarded.send("POST", "/predict", "new", data=plain(), content_type="image/jpeg").status_code
        == 401
    )


def test_all_tokens_are_refused_if_the_token_file_is_damaged(guarded: GuardedApp) -> None:
    guarded.store.path.write_bytes(b"no database" * 1000)
    response = guarded.send(
        "POST", "/predict", "a", data=plain(), content_type="image/jpeg", environ_base=REMOTE
    )
    check_failure(guarded.client, response, 503, "overloaded")
    assert response.headers["Retry-After"] == "5"
    assert guarded.client.get("/health/ready").status_code == 200


def test_configured_token_has_full_access(settings: Settings, model: Load) -> None:
    client = create_app(
        settings.model_copy(update={"api_key": SecretStr(ONE)}), load=model
    ).test_client()
    assert client.post("/predict", data=plain(), content_type="image/jpeg").status_code == 401
    for path in ("/predict", "/predict/premium"):
        assert (
            client.post(
                path, data=plain(), content_type="image/jpeg", headers={"X-API-Key": ONE}
            ).status_code
            == 200
        )
    assert (
        client.get("/metrics", headers={"X-API-Key": ONE}, environ_base=REMOTE).status_code == 200
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost", 200),
        ("::1", 200),
        ("0.0.0.0", 401),
        ("::", 401),
        ("10.0.0.2", 401),
    ],
)
def test_server_on_a_public_address_requires_tokens(
    settings: Settings, model: Load, host: str, status: int
) -> None:
    client = create_app(settings.model_copy(update={"host": host}), load=model).test_client()
    assert client.post("/predict", data=plain(), content_type="image/jpeg").status_code == status


def test_openapi_document_describes_the_required_tokens(guarded: GuardedApp) -> None:
    document = guarded.client.get("/openapi.json").get_json()
    assert set(document["components"]["securitySchemes"]) == {"token", "bearer"}
    assert document["paths"]["/predict"]["post"]["security"] == [{"token": []}, {"bearer": []}]
    assert document["paths"]["/metrics"]["get"]["security"] == [{}, {"token": []}, {"bearer": []}]
    assert document["paths"]["/health"]["get"]["security"] == []


def test_preflight_without_token_gets_a_response(
    settings: Settings, model: Load, tmp_path: Path
) -> None:
    guarded = GuardedApp(settings, model, tmp_path, policy="all")
    preflight = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    response = guarded.client.options("/predict", headers=preflight, environ_base=REMOTE)
    assert (
        response.status_code == 200
        and response.headers["Access-Control-Allow-Headers"] == "x-api-key"
    )
