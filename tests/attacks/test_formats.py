"""Tests that files in a format outside `ACCEPTED` never reach a decoder of Pillow."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from PIL import Image

from keylike.images.formats import ACCEPTED
from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.running import Running
from tools.plain_pictures import encode, plain

Image.init()
# The formats of Pillow that the server must refuse. Pillow itself cannot read HEIC.
OTHERS = sorted(set(Image.OPEN) - set(ACCEPTED))
# The first bytes of files in formats that Pillow can read but not write.
BEGINNINGS: dict[str, bytes] = {
    "BUFR": b"BUFR\0\0\x2a\4",
    "CUR": b"\0\0\2\0\1\0\x10\x10\0\0",
    "DCX": b"\xb1\x68\xde\x3a\0\0\0\0",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 40\n(/etc/passwd) (r) file\n",
    "FITS": b"SIMPLE  =                    T" + b" " * 50,
    "FLI": b"\x80\0\0\0\x11\xaf\1\0\x40\0\x30\0\x08\0",
    "FTEX": b"FTEX\0\0\1\0",
    "GBR": b"\0\0\0\x1c\0\0\0\2\0\0\0\x10\0\0\0\x10\0\0\0\4GIMP",
    "GRIB": b"GRIB\0\0\0\2",
    "HDF5": b"\x89HDF\r\n\x1a\n",
    "IM": b"Image type: RGB image\r\nName: x\r\nImage size (x*y): 64*48\r\n",
    "IMT": b"width 10\nheight 10\n",
    "IPTC": b"\x1c\x03\x3c\0\2\0\1",
    "MCIDAS": b"\0\0\0\0\0\0\0\4" + bytes(248),
    "MPEG": b"\0\0\1\xb3\x14\0\xf0\x13",
    "PCD": bytes(2048) + b"PCD_" + bytes(2000),
    "PIXAR": b"\200\350\0\0" + bytes(508),
    "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x30\0\0\0\x40\0\x08\0\3",
    "QOI": b"qoif\0\0\0\x40\0\0\0\x30\3\0",
    "SUN": b"\x59\xa6\x6a\x95" + bytes(28),
    "WMF": b"\xd7\xcd\xc6\x9a" + bytes(40),
    "XPM": b'/* XPM */\nstatic char *x[] = {\n"1 1 1 1",\n"a c #ff0000",\n"a"};',
    "XVTHUMB": b"P7 332\n#XVVERSION\n#END_OF_COMMENTS\n80 60 255\n",
}


def sample(kind: str) -> bytes:
    """Return a file of this format, or the beginning of one."""
    if kind in BEGINNINGS:
        return BEGINNINGS[kind]
    mode = {"MSP": "1", "XBM": "1", "SPIDER": "F", "BLP": "P"}.get(kind, "RGB")
    return encode(Image.new("RGB", (64, 48), (200, 20, 20)).convert(mode), kind)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a server in this process, where the test can observe Pillow."""
    server = Running(Settings(logs=tmp_path_factory.mktemp("logs")), ColourReader())
    yield server
    server.stop()


@pytest.fixture
def decoders_called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which every called decoder of Pillow adds its format.

    Calls that only recognize a file are recorded too.
    """
    seen: list[str] = []

    def wrap(kind: str) -> None:
        factory, accept = Image.OPEN[kind]

        def opened(*arguments: object) -> object:
            seen.append(kind)
            return factory(*arguments)  # type: ignore[arg-type]

        def accepted(prefix: bytes) -> bool | str:
            seen.append(kind)
            return accept(prefix) if accept else True

        monkeypatch.setitem(Image.OPEN, kind, (opened, accepted))

    for kind in Image.OPEN:
        wrap(kind)
    return seen


def post(running: Running, picture: bytes) -> tuple[int, str | None]:
    """Post a picture and return status and code."""
    connection = http.client.HTTPConnection("127.0.0.1", running.server.port, timeout=20)
    connection.request("POST", "/predict", picture, {"Content-Type": "image/jpeg"})
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    return response.status, body.get("code")


@pytest.mark.parametrize("kind", [*OTHERS, "PDF"])
def test_file_in_another_format_is_refused_without_a_decoder(
    running: Running, decoders_called: list[str], kind: str
) -> None:
    assert post(running, sample(kind)) == (415, "unsupported_image_type")
    assert decoders_called == []


def test_photo_reaches_only_the_decoder_of_its_format(
    running: Running, decoders_called: list[str]
) -> None:
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "AVIF"):
        decoders_called.clear()
        assert post(running, plain(kind=kind)) == (200, None)
        assert set(decoders_called) == {kind}
    decoders_called.clear()
    # Put a JPEG signature in front of a TIFF file.
    assert post(running, b"\xff\xd8\xff" + sample("TIFF")) == (400, "bad_image")
    assert set(decoders_called) <= {"JPEG"}
