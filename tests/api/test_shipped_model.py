"""End-to-end tests with the embedded model: requests of a phone, curl and a notebook."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import cv2
import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from PIL import Image

from keylike.service import create_app
from keylike.settings import Settings
from tests.contract import check_described
from tools.training.render import Scene

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
FIRST = json.loads((SAMPLES / "labels.jsonl").read_text().splitlines()[0])
EXPECTED = ",".join(map(str, FIRST["bitting"]))


@pytest.fixture
def shipped(tmp_path: Path) -> FlaskClient:
    """Return a client of an application with the embedded model and default settings."""
    app: OpenAPI = create_app(Settings(models=ROOT / "models", logs=tmp_path / "logs"))
    return app.test_client()


def photo() -> bytes:
    """Return the bytes of the first sample photo."""
    data: bytes = (SAMPLES / FIRST["file"]).read_bytes()
    return data


def test_predict_with_the_phone_app_form_reads_the_key(shipped: FlaskClient) -> None:
    fields = {
        "command": "predict",
        "zipcode": "12345",
        "image": (io.BytesIO(photo()), "keyway_image.jpg", "image/jpeg"),
    }
    answer = shipped.post(
        "/",
        data=fields,
        headers={"ngrok-skip-browser-warning": "true", "Origin": "https://app.example"},
    )
    body = answer.get_json()
    assert answer.status_code == 200, body
    assert (body["keyway"], body["bitting"]) == (FIRST["keyway"], EXPECTED)
    assert body["model_used"].startswith("caliper-")
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://app.example")


def test_predict_with_json_or_raw_bytes_reads_the_key(shipped: FlaskClient) -> None:
    as_json = shipped.post(
        "/predict",
        json={
            "image_data": base64.b64encode(photo()).decode(),
            "zipcode": "12345",
            "format": "base64",
        },
    )
    as_bytes = shipped.post("/predict", data=photo(), content_type="image/jpeg")
    assert [answer.get_json()["bitting"] for answer in (as_json, as_bytes)] == [EXPECTED] * 2


@pytest.mark.parametrize("turn", [None, 6, 3])
def test_geometry_of_a_photo_with_exif_rotation_fits_the_upright_photo(
    shipped: FlaskClient, turn: int | None
) -> None:
    upright = Image.open(io.BytesIO(photo()))
    stored = (
        upright.transpose({6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180}[turn])
        if turn
        else upright
    )
    exif = Image.Exif()
    if turn:
        exif[0x0112] = turn
    data = io.BytesIO()
    stored.save(data, "JPEG", quality=95, exif=exif)
    answer = shipped.post("/predict", data=data.getvalue(), content_type="image/jpeg")
    geometry = check_described(shipped, answer, "/predict", "post")["geometry"]
    assert (geometry["width"], geometry["height"]) == upright.size
    assert [cut["position"] for cut in geometry["cuts"]] == [1, 2, 3, 4, 5]
    # Pixel positions (x, y) of the first and the last cut, measured by hand on the photo. The bow
    # is at the bottom and the cuts are on the left.
    assert [geometry["cuts"][i][end] for i in (0, -1) for end in ("root", "foot")] == [
        pytest.approx(place, abs=8) for place in ([731, 291], [810, 308], [760, 93], [849, 110])
    ]
    assert all(600 < x < 900 and 20 < y < 420 for x, y in geometry["outline"])


@pytest.mark.parametrize("kind", ["none", "blank", "other"])
def test_predict_without_a_readable_key_returns_reason_and_advice(
    shipped: FlaskClient, kind: str
) -> None:
    picture = Scene(61, grounds=6).whole(900, 700, kind=kind, tier="easy").picture
    ok, data = cv2.imencode(".jpg", picture[..., ::-1])
    assert ok
    answer = shipped.post("/", data=data.tobytes(), content_type="image/jpeg")
    body = answer.get_json()
    assert answer.status_code == 422, body
    assert body["code"] == "unreadable"
    assert body["reason"]
    assert body["advice"]
    assert "bitting" not in body
