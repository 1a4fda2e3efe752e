"""Test that few functions are called between the view of a route and the decoder."""

from __future__ import annotations

from keylike.service import Service
from keylike.settings import Settings
from tools.benchmarks.request_path import SAMPLE, frames_to_decoder, modules_entered


def test_view_calls_the_decoder_through_at_most_ten_functions(settings: Settings) -> None:
    with Service(settings) as service:
        service.load()
        photo = SAMPLE.read_bytes()
        frames = frames_to_decoder(service, photo)
        # The outermost frame is the function that flask-openapi3 puts around the view.
        assert frames[-2].endswith("predict") and frames[0] == "Limits.open"
        assert len(frames) - 1 <= 10
        modules = {path.rpartition("/")[2] for path in modules_entered(service, photo + b"\0")}
        assert {"inference.py", "thread_engine.py", "reading_cache.py"} <= modules
