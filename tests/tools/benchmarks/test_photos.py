"""The photos of the race: no two alike, and all as they were."""

from __future__ import annotations

import numpy as np

from keylike.images.photo import open_photo
from tools.benchmarks.serving.photos import Stream, photos


def test_no_photo_comes_twice_and_each_still_shows_the_same() -> None:
    made = photos("640x480")
    stream = Stream(made)
    sent = [next(stream) for _ in range(3 * len(made))]
    assert len(set(sent)) == len(sent)
    for number, photo in enumerate(sent[: len(made) + 1]):
        opened, original = open_photo(photo), open_photo(made[number % len(made)])
        assert opened.pixels.shape == (480, 640, 3)
        assert np.array_equal(opened.pixels, original.pixels)
