"""Application for tests that control its reader and its clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from keylike.errors import Overloaded
from keylike.images.photo import Photo
from keylike.readers.contract import ReaderInfo, Reading, Unreadable
from keylike.service import Service
from keylike.settings import Settings
from tests.conftest import NOW
from tests.contract import check_described
from tests.fakes import ColourReader


class ControlledReader(ColourReader):
    """A reader that calls a function of the test, `first`, before it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Callable[[], None] = lambda: None

    @property
    def info(self) -> ReaderInfo:
        """Return the name, version and digest of the reader."""
        return ReaderInfo(
            name="controlled",
            version="1.2.3",
            kind="fake",
            keyways=("SC1",),
            digest="0123456789abcdef" * 4,
        )

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return one result per photo."""
        self.first()
        return super().read(photos)


def crash() -> None:
    """Raise an error that is not a KeylikeError."""
    raise RuntimeError("c4nary")


def short_of_memory() -> None:
    """Raise the error of a reader that has no free memory."""
    raise Overloaded("No memory is left.", retry_after_s=1)


class ControlledApp:
    """An application with a controlled reader and a clock that only the test changes."""

    def __init__(self, settings: Settings, *, loaded: bool = True, **changes: Any) -> None:
        self.reader = ControlledReader()
        self.now = NOW
        settings = settings.model_copy(update={"threads": 1, **changes})
        self.service = Service(settings, load=lambda: self.reader, wall=lambda: self.now)
        if loaded:
            self.service.load()
        self.client = self.service.app.test_client()

    def post(self, photo: bytes, path: str = "/predict", **more: Any) -> Any:
        """Post a photo and return the JSON body of the response."""
        return self.client.post(path, data=photo, content_type="image/jpeg", **more).get_json()

    def get(self, path: str, status: int = 200) -> dict[str, Any]:
        """Get a path and return the body after validating it against the OpenAPI document."""
        response = self.client.get(path)
        assert response.status_code == status, response.get_data()
        return check_described(self.client, response, path, "get")

    def values(self) -> dict[str, float]:
        """Return the values of /metrics, with the name and labels of each metric as its key."""
        response = self.client.get("/metrics")
        assert (response.status_code, response.content_type) == (
            200,
            "text/plain; version=0.0.4; charset=utf-8",
        )
        return {
            " ".join(
                [sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]
            ): sample.value
            for family in text_string_to_metric_families(response.get_data(as_text=True))
            for sample in family.samples
        }
