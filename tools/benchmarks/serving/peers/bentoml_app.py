"""BentoML: a service in as many worker processes as there are cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bentoml

from tools.benchmarks.serving.peers.work import CORES, load, open_photo, read


@bentoml.service(workers=CORES, traffic={"timeout": 100}, logging={"access": {"enabled": False}})
class Keys:
    """One of them in each worker."""

    def __init__(self) -> None:
        self.reader = load()

    @bentoml.api(route="/predict")
    def predict(self, image: Path) -> dict[str, Any]:
        """Reads the key in a photo."""
        return read(self.reader, open_photo(image.read_bytes()))
