"""Write the OpenAPI description of the server, or the example responses in it.

python -m tools.openapi document FILE    # write the OpenAPI description as JSON to FILE
python -m tools.openapi examples         # write real responses to keylike/api/examples.json
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from flask.testing import FlaskClient

from keylike.resources import SAMPLES
from keylike.service import Service
from keylike.settings import Settings
from tools.fuzzing.forms import form
from tools.plain_pictures import plain

EXAMPLES = Path(__file__).resolve().parent.parent / "keylike" / "api" / "examples.json"


@contextmanager
def _client() -> Iterator[FlaskClient]:
    log = structlog.wrap_logger(
        logging.getLogger("nowhere"),
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(logs=Path(folder), tokens=Path(folder) / "tokens")
        with Service(settings, log=log) as service:
            service.load()
            yield service.app.test_client()


def examples() -> dict[str, Any]:
    """Return one real response for each response schema, by the name of the schema."""
    key = (SAMPLES / "sc1_01.jpg").read_bytes()
    two = form(("image", key), ("image", b"no picture"))
    with _client() as client:

        def read(path: str, photo: bytes) -> Any:
            return client.post(path, data=photo, content_type="image/jpeg").get_json()

        return {
            "Prediction": read("/predict", key),
            "TimedPrediction": read("/predict/cached", key),
            "UnreadableFailure": read("/predict", plain()),
            "Failure": read("/predict", b"no picture"),
            "ClassificationOut": read("/classify/image", key),
            "BatchAnswer": client.post("/predict/batch?fields=cuts,quality", **two).get_json(),
            "VersionOut": client.get("/version").get_json(),
            "Health": client.get("/health").get_json(),
            "Probe": client.get("/health/live").get_json(),
            "DetailedHealth": client.get("/health/detailed").get_json(),
            "CacheOut": client.get("/cache/stats").get_json(),
            "PerformanceOut": client.get("/debug/performance").get_json(),
            "MemoryOut": client.get("/debug/memory").get_json(),
        }


def main(arguments: list[str]) -> None:
    """Run the command `document` or `examples`."""
    match arguments:
        case ["document", path]:
            with _client() as client:
                Path(path).write_bytes(client.get("/openapi.json").data)
        case ["examples"]:
            text = json.dumps(examples(), indent=1, ensure_ascii=False)
            EXAMPLES.write_text(text + "\n", encoding="utf-8")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
