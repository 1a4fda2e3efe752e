"""Tests of the kinds of photos that the Python client accepts: buffers, images and arrays."""

from __future__ import annotations

import io
import mmap
import sys
from array import array
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from keylike_client import UnusablePhoto
from keylike_client.pixels import encode_image, encode_pixels
from tests.clients.conftest import Serve
from tools.plain_pictures import RED, encode, plain

CODE = "2,5,4,7,3"
PHOTO = plain(RED)
RGB = np.full((60, 120, 3), RED, np.uint8)


def view(pixels: Any) -> memoryview:
    """Return the memory view of an array, which the encoder of the client expects."""
    return memoryview(pixels)


def mapped(tmp_path: Path) -> mmap.mmap:
    """Return a photo file that is mapped into memory."""
    path = tmp_path / "key.jpg"
    path.write_bytes(PHOTO)
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def test_read_accepts_every_kind_of_buffer_with_a_photo_file(
    serve: Serve, make_client: Any, tmp_path: Path
) -> None:
    client = make_client(serve())
    padded = memoryview(b"".join(bytes([byte, 0]) for byte in PHOTO))
    buffers = [
        bytearray(PHOTO),
        memoryview(PHOTO),
        padded[::2],
        array("B", PHOTO),
        np.frombuffer(PHOTO, np.uint8),
        cv2.imencode(".png", RGB[:, :, ::-1])[1],
        np.frombuffer(PHOTO, np.uint8)[:, None],
        mapped(tmp_path),
    ]
    assert [client.read(buffer).bitting for buffer in buffers] == [CODE] * len(buffers)
    assert [outcome.reading.bitting for outcome in client.read_many(buffers)] == [CODE] * 8


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr"])
def test_read_accepts_pillow_images(serve: Serve, make_client: Any, mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    assert make_client(serve()).read(image).bitting == CODE


def test_pillow_image_is_sent_with_its_orientation_and_transparency(
    serve: Serve, make_client: Any
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.open(io.BytesIO(encode(Image.new("RGB", (120, 60), RED), "JPEG", exif=exif)))
    client = make_client(serve())
    assert client.read(turned).bitting == CODE
    assert Image.open(io.BytesIO(encode_image(turned))).getexif()[0x0112] == 6
    glass = Image.new("RGBA", (120, 60), (*RED, 255))
    glass.paste((0, 0, 0, 0), (0, 0, 2, 2))
    assert client.read(glass).bitting == CODE
    assert Image.open(io.BytesIO(encode_image(glass))).getpixel((0, 0)) == (0, 0, 0, 0)
    assert b"secret" not in encode_image(with_metadata())


def with_metadata() -> Image.Image:
    """Return an image whose EXIF data has a comment."""
    exif = Image.Exif()
    exif[0x010E] = "secret"
    return Image.open(io.BytesIO(encode(Image.new("RGB", (120, 60), RED), "JPEG", exif=exif)))


PIXELS = {
    "RGB": RGB,
    "not contiguous": RGB[::-1, ::-1],
    "RGBA": np.dstack([RGB, np.full((60, 120), 255, np.uint8)]),
    "memoryview": view(RGB),
}


@pytest.mark.parametrize("pixels", PIXELS.values(), ids=PIXELS.keys())
def test_read_accepts_arrays_of_pixels(
    serve: Serve, make_client: Any, monkeypatch: pytest.MonkeyPatch, pixels: Any
) -> None:
    client = make_client(serve())
    assert client.read(pixels).bitting == CODE
    with monkeypatch.context() as patch:
        # Hide Pillow only here, because the server in this process needs it.
        patch.setitem(sys.modules, "PIL.Image", None)
        without_pillow = encode_pixels(view(pixels))
    assert client.read(without_pillow).bitting == CODE


@pytest.mark.parametrize("pillow", [True, False])
def test_encode_pixels_keeps_grey_pixels(monkeypatch: pytest.MonkeyPatch, pillow: bool) -> None:
    grey = np.tile(np.arange(0, 240, 2, dtype=np.uint8), (60, 1))
    for pixels in (grey, grey[:, :, None]):
        with monkeypatch.context() as patch:
            if not pillow:
                patch.setitem(sys.modules, "PIL.Image", None)
            encoded = encode_pixels(view(pixels))
        decoded = np.asarray(Image.open(io.BytesIO(encoded)).convert("L")).astype(int)
        assert np.abs(decoded - grey).max() <= (3 if pillow else 0)


@pytest.mark.parametrize(
    "photo",
    [
        None,
        7,
        [PHOTO],
        object(),
        io.StringIO("text"),
        RGB.astype(float),
        RGB.astype(np.uint16),
        np.zeros((4, 5, 5), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((2, 4, 5, 3), np.uint8),
        Image.new("F", (4, 4)),
    ],
    ids=lambda photo: type(photo).__name__,
)
def test_read_of_an_unsupported_object_raises_unusable_photo(
    serve: Serve, make_client: Any, photo: Any
) -> None:
    client = make_client(serve())
    with pytest.raises(UnusablePhoto, match="must be"):
        client.read(photo)
    outcomes = list(client.read_many([photo, PHOTO]))
    assert isinstance(outcomes[0].error, UnusablePhoto)
    assert outcomes[1].reading is not None
