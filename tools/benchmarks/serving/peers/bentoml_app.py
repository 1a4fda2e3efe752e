"""BentoML service with one worker process per core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bentoml

from tools.benchmarks.serving.peers.work import CORES, load_reader, open_photo, read


@bentoml.service(workers=CORES, traffic={"timeout": 100}, logging={"access": {"enabled": False}})
class Keys:
    """Service that reads keys. Each worker process has one instance."""

    def __init__(self) -> None:
        self.reader = load_reader()

    @bentoml.api(route="/predict")
    def predict(self, image: Path) -> dict[str, Any]:
        """Return the reading of a photo."""
        return read(self.reader, open_photo(image.read_bytes()))
