"""Tests of the photos that the benchmarks send."""

from __future__ import annotations

import numpy as np

from keylike.images.photo import open_photo
from tools.benchmarks.serving.photos import PhotoStream, photos


def test_photo_stream_has_unique_bytes_with_the_same_pixels() -> None:
    samples = photos("640x480")
    stream = PhotoStream(samples)
    sent = [next(stream) for _ in range(3 * len(samples))]
    assert len(set(sent)) == len(sent)
    for number, photo in enumerate(sent[: len(samples) + 1]):
        opened, original = open_photo(photo), open_photo(samples[number % len(samples)])
        assert opened.pixels.shape == (480, 640, 3)
        assert np.array_equal(opened.pixels, original.pixels)
