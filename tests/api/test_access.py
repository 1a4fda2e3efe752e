"""Who gets in: every route of the application, under every policy, with tokens of every tier, from here and from elsewhere."""

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
FAR = {"REMOTE_ADDR": "203.0.113.7"}
# Each with what it needs; a route that is missing here fails the first test.
ROUTES = {
    ("GET", "/health/live"): Need.NOTHING,
    ("GET", "/health"): Need.PUBLIC,
    ("GET", "/health/ready"): Need.PUBLIC,
    ("GET", "/health/startup"): Need.PUBLIC,
    ("GET", "/health/detailed"): Need.PUBLIC,
    ("GET", "/"): Need.PUBLIC,
    ("GET", "/docs"): Need.PUBLIC,
    ("GET", "/openapi.json"): Need.PUBLIC,
    ("GET", "/docs/files/<path:filename>"): Need.PUBLIC,
    ("GET", "/web/<path:filename>"): Need.NOTHING,
    ("GET", "/sw.js"): Need.NOTHING,
    ("POST", "/"): Need.PHOTOS,
    ("POST", "/predict"): Need.PHOTOS,
    ("POST", "/predict/batch"): Need.PHOTOS,
    ("POST", "/classify/image"): Need.PHOTOS,
    ("POST", "/predict/premium"): Need.PREMIUM,
    ("GET", "/metrics"): Need.OPERATOR,
    ("GET", "/debug/performance"): Need.OPERATOR,
    ("GET", "/debug/memory"): Need.OPERATOR,
    ("GET", "/cache/stats"): Need.OPERATOR,
}
# Who is let in, of: nobody's token, free, premium, admin; from elsewhere, and from a program on this machine.
EVERYBODY, FREE, PREMIUM, ADMIN = "nfpa", "fpa", "pa", "a"
LET_IN = {
    "open": {Need.PUBLIC: EVERYBODY, Need.PHOTOS: EVERYBODY},
    "predictions": {Need.PUBLIC: EVERYBODY, Need.PHOTOS: FREE},
    "all": {Need.PUBLIC: FREE, Need.PHOTOS: FREE},
}


class Door:
    """An application with a token of each tier."""

    def __init__(self, settings: Settings, model: Load, tmp_path: Path, **changes: Any) -> None:
        self.store = TokenStore(tmp_path / "tokens.sqlite3", lambda: NOW)
        self.tokens = {
            "n": "",
            **{tier.value[0]: self.store.new(tier.value, tier, None) for tier in Tier},
        }
        changed = settings.model_copy(
            update={"tokens": tmp_path / "tokens.sqlite3", "limits": "off", **changes}
        )
        self.app = create_app(changed, load=model, wall=lambda: NOW)
        self.client: FlaskClient = self.app.test_client()

    def ask(self, method: str, path: str, token: str, **more: Any) -> TestResponse:
        """Asks with the token of a tier, by its first letter."""
        headers = {"X-API-Key": self.tokens[token]} if self.tokens[token] else {}
        path = path.replace("docs/files/<path:filename>", "docs/files/css/swagger-ui.css").replace(
            "<path:filename>", "docs.js"
        )
        return self.client.open(path, method=method, headers=headers, buffered=True, **more)


@pytest.fixture
def door(settings: Settings, model: Load, tmp_path: Path) -> Door:
    """One that asks for a token for predictions."""
    return Door(settings, model, tmp_path, policy="predictions")


def test_every_route_is_known(door: Door) -> None:
    found = {
        (method, rule.rule): need_of(rule.endpoint)
        for rule in door.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert found == ROUTES


def test_a_route_that_nobody_thought_of_is_the_operators(door: Door) -> None:
    door.app.add_url_rule("/forgotten", view_func=lambda: "secret")
    assert door.client.get("/forgotten", environ_base=FAR).status_code == 401
    assert door.ask("GET", "/forgotten", "a", environ_base=FAR).status_code == 200


@pytest.mark.parametrize("policy", LET_IN)
def test_every_route_from_elsewhere(
    settings: Settings, model: Load, tmp_path: Path, policy: str
) -> None:
    door = Door(settings, model, tmp_path, policy=policy)
    allowed = {Need.NOTHING: EVERYBODY, Need.PREMIUM: PREMIUM, Need.OPERATOR: ADMIN} | LET_IN[
        policy
    ]
    for ((method, path), need), token in itertools.product(ROUTES.items(), EVERYBODY):
        status = door.ask(method, path, token, environ_base=FAR).status_code
        expected = "let in" if token in allowed[need] else 401 if token == "n" else 403
        assert (status if status in (401, 403) else "let in") == expected, (
            method,
            path,
            token,
            policy,
        )


def test_the_page_opens_for_everybody_since_browsers_cannot_send_a_token_on_the_way_to_it(
    settings: Settings, model: Load, tmp_path: Path
) -> None:
    door = Door(settings, model, tmp_path, policy="all")
    page = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    answer = door.client.get("/", headers=page, environ_base=FAR, buffered=True)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    # What programs are told there names the model, and a photo sent by a page that says so is still a photo.
    assert door.client.get("/", environ_base=FAR).status_code == 401
    for path in ("/", "/predict"):
        refused = door.client.post(
            path, data=plain(), content_type="image/jpeg", headers=page, environ_base=FAR
        )
        assert refused.status_code == 401
    for path in ("/docs", "/openapi.json", "/health", "/metrics"):
        assert door.client.get(path, headers=page, environ_base=FAR).status_code == 401


def test_a_program_on_this_machine_is_the_operator_but_where_all_ask_for_tokens(
    settings: Settings, model: Load, tmp_path: Path
) -> None:
    for number, (policy, status) in enumerate([("open", 200), ("predictions", 200), ("all", 401)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert (
            Door(settings, model, folder, policy=policy).ask("GET", "/metrics", "n").status_code
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
def test_a_page_whose_name_points_to_this_machine_is_not_the_operator(
    door: Door, host: str
) -> None:
    assert door.client.get("/metrics", headers={"Host": host}).status_code == 401
    for own in ("localhost:5000", "127.0.0.1:5000", "[::1]:5000"):
        assert door.client.get("/metrics", headers={"Host": own}).status_code == 200


def test_the_servers_own_page_is_the_operators_and_that_of_another_site_is_not(door: Door) -> None:
    for origin, status in (
        ("http://localhost", 200),
        ("http://localhost:81", 401),
        ("null", 401),
        ("https://attacker.example", 401),
    ):
        assert door.client.get("/metrics", headers={"Origin": origin}).status_code == status


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
def test_an_origin_that_is_none_is_another_site(door: Door, origin: str) -> None:
    assert door.client.get("/metrics", headers={"Origin": origin}).status_code == 401
    assert door.client.get("/health/live", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    ("site", "status"),
    [("none", 200), ("same-origin", 200), ("same-site", 401), ("cross-site", 401), ("?", 401)],
)
def test_what_another_sites_page_has_a_browser_load_is_not_the_operators(
    door: Door, site: str, status: int
) -> None:
    """As a picture or a script: then there is no Origin."""
    assert door.client.get("/debug/memory", headers={"Sec-Fetch-Site": site}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": "{}"}, {"Authorization": "Bearer {}"}, {"Authorization": "bearer   {} "}],
)
def test_a_token_comes_in_either_header(door: Door, headers: dict[str, str]) -> None:
    sent = {name: value.format(door.tokens["f"]) for name, value in headers.items()}
    assert (
        door.client.post(
            "/predict", data=plain(), content_type="image/jpeg", headers=sent
        ).status_code
        == 200
    )


def test_what_is_no_token_is_refused(door: Door) -> None:
    free = door.tokens["f"]
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
        response = door.client.post(
            "/predict", data=plain(), content_type="image/jpeg", environ_base=environ
        )
        check_failure(door.client, response, 401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (
        door.client.post(
            f"/predict?token={free}&X-API-Key={free}", data=plain(), content_type="image/jpeg"
        ).status_code
        == 401
    )


def test_too_low_a_tier_is_told_so(door: Door) -> None:
    refused = door.ask("POST", "/predict/premium", "f", data=plain(), content_type="image/jpeg")
    body = check_described(door.client, refused, "/predict/premium", "post")
    assert (refused.status_code, body["code"]) == (403, "forbidden")
    assert "premium" in body["error"] and door.tokens["f"] not in refused.text
    read = door.ask("POST", "/predict/premium", "p", data=plain(), content_type="image/jpeg")
    assert check_described(door.client, read, "/predict/premium", "post")["bitting"] == "2,5,4,7,3"


def test_what_is_made_and_revoked_while_the_server_runs_counts_at_once(door: Door) -> None:
    other_process = TokenStore(door.store.path, lambda: NOW)
    door.tokens["new"] = other_process.new("phone", Tier.FREE, 60.0)
    assert (
        door.ask("POST", "/predict", "new", data=plain(), content_type="image/jpeg").status_code
        == 200
    )
    other_process.revoke("phone")
    assert (
        door.ask("POST", "/predict", "new", data=plain(), content_type="image/jpeg").status_code
        == 401
    )


def test_a_broken_file_of_tokens_lets_nobody_in(door: Door) -> None:
    door.store.path.write_bytes(b"no database" * 1000)
    response = door.ask(
        "POST", "/predict", "a", data=plain(), content_type="image/jpeg", environ_base=FAR
    )
    check_failure(door.client, response, 503, "overloaded")
    assert response.headers["Retry-After"] == "5"
    assert door.client.get("/health/ready").status_code == 200


def test_one_token_of_the_settings_opens_everything(settings: Settings, model: Load) -> None:
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
    assert client.get("/metrics", headers={"X-API-Key": ONE}, environ_base=FAR).status_code == 200


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
def test_who_can_be_reached_from_elsewhere_asks_for_tokens(
    settings: Settings, model: Load, host: str, status: int
) -> None:
    client = create_app(settings.model_copy(update={"host": host}), load=model).test_client()
    assert client.post("/predict", data=plain(), content_type="image/jpeg").status_code == status


def test_document_tells_how_to_send_it(door: Door) -> None:
    document = door.client.get("/openapi.json").get_json()
    assert set(document["components"]["securitySchemes"]) == {"token", "bearer"}
    assert document["paths"]["/predict"]["post"]["security"] == [{"token": []}, {"bearer": []}]
    assert document["paths"]["/metrics"]["get"]["security"] == [{}, {"token": []}, {"bearer": []}]
    assert "security" not in document["paths"]["/health"]["get"]


def test_a_preflight_needs_no_token(settings: Settings, model: Load, tmp_path: Path) -> None:
    door = Door(settings, model, tmp_path, policy="all")
    asked = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    response = door.client.options("/predict", headers=asked, environ_base=FAR)
    assert (
        response.status_code == 200
        and response.headers["Access-Control-Allow-Headers"] == "x-api-key"
    )
