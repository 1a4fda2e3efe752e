"""Measure the code path of one photo: `python -m tools.benchmarks.request_path`.

It prints one line of JSON with two numbers: the stack frames between Flask's view function and
`open_photo`, and the modules of Keylike whose code runs for a request after a warm-up request.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from keylike import inference
from keylike.images.photo import Photo
from keylike.service import Service
from keylike.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "sc1_01.jpg"
# Name of the Flask function that calls the view function.
_DISPATCH = "dispatch_request"


def frames_to_decoder(service: Service, photo: bytes) -> list[str]:
    """Return the names of the functions on the stack from Flask's dispatcher to `open_photo`."""
    found: list[str] = []
    original: Callable[..., Photo] = getattr(inference, "open_photo")  # noqa: B009

    def record(*arguments: object, **named: object) -> Photo:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_name != _DISPATCH:
            found.append(frame.f_code.co_qualname)
            frame = frame.f_back
        return original(*arguments, **named)

    setattr(inference, "open_photo", record)  # noqa: B010
    try:
        _post(service, photo, {"Cache-Control": "no-cache"})
        uncached = [*found]
        found.clear()
        _post(service, photo, {})
    finally:
        setattr(inference, "open_photo", original)  # noqa: B010
    return found or uncached


def modules_entered(service: Service, photo: bytes) -> set[str]:
    """Return the files of Keylike whose functions are called in the thread of one request."""
    entered: set[str] = set()

    def trace(frame: FrameType, event: str, argument: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(ROOT / "keylike")):
            entered.add(path)

    sys.setprofile(trace)
    try:
        _post(service, photo, {})
    finally:
        sys.setprofile(None)
    return entered


def _post(service: Service, photo: bytes, headers: dict[str, str]) -> None:
    client = service.app.test_client()
    answer = client.post("/predict", data=photo, content_type="image/jpeg", headers=headers)
    assert answer.status_code == 200, answer.get_data()


def main() -> None:
    """Run the benchmark from the command line."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(logs=Path(folder), log_level="ERROR")
        with Service(settings) as service:
            service.load()
            photo = SAMPLE.read_bytes()
            frames = frames_to_decoder(service, photo + b"\0")
            _post(service, photo, {})
            # The added bytes do not change the picture, but it is not in the cache.
            modules = modules_entered(service, photo + b"\0\0")
    print(json.dumps({"frames": len(frames), "modules": len(modules), "path": frames[::-1]}))


if __name__ == "__main__":
    main()
