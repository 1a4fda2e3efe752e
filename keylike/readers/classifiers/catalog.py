"""The classifiers that can be asked for by name: found in the models' folder, loaded when first asked, the least used let go."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cachetools import LRUCache
from structlog.stdlib import BoundLogger

from keylike.errors import BadRequest, ModelError, NotFound
from keylike.readers.classifiers.contract import Classifier
from keylike.readers.classifiers.manifest import KIND
from keylike.readers.model_files import has_manifest, read_manifest

# A folder's own name and no way to anywhere else.
NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_MOST_KEPT = 4


class Classifiers:
    """Gives classifiers by the names of their folders in `models`. `embedded` loads the one that answers where none is named, `load` one
    from its checked folder; both raise ModelError."""

    def __init__(
        self,
        models: Path,
        *,
        embedded: Callable[[], Classifier],
        load: Callable[[Path], Classifier],
        log: BoundLogger,
        most: int = _MOST_KEPT,
    ) -> None:
        self._models, self._embedded, self._load, self._log = models, embedded, load, log
        self._kept: LRUCache[str, Classifier] = LRUCache(most)
        self._lock, self._loading = threading.Lock(), threading.Lock()

    def choose(self, name: str | None) -> Callable[[], Classifier]:
        """What gives the classifier of this name, or the embedded one, loading it if need be. Raises NotFound, BadRequest where the folder
        holds something else, and ModelError where its manifest cannot be read."""
        if name is None:
            return partial(self._get, "", self._embedded)
        folder = self._models / name
        if not re.fullmatch(NAME, name) or not folder.is_dir():
            raise NotFound("There is no model of this name.")
        try:
            kind = read_manifest(folder).get("kind") if has_manifest(folder) else None
        except ModelError as error:
            raise self._told(name, error) from None
        if kind != KIND:
            raise BadRequest(
                "This model is no classifier; without a name the embedded one answers."
            )
        return partial(self._get, name, partial(self._load, folder))

    def _get(self, name: str, load: Callable[[], Classifier]) -> Classifier:
        """One that is kept, or a new one; two are never loaded at a time, and who asks for one that is kept waits for neither."""
        found = self._find(name)
        if found is not None:
            return found
        with self._loading:
            found = self._find(name)
            if found is None:
                found = self._warmed(name, load)
                with self._lock:
                    self._kept[name] = found
            return found

    def _find(self, name: str) -> Classifier | None:
        with self._lock:
            return self._kept.get(name)

    def _warmed(self, name: str, load: Callable[[], Classifier]) -> Classifier:
        try:
            classifier = load()
            classifier.warm()
        except ModelError as error:
            raise self._told(name, error) from None
        return classifier

    def _told(self, name: str, error: ModelError) -> ModelError:
        """The same error, once whoever runs the server can read about it: callers are told nothing of what lies in a folder."""
        self._log.error("classifier_unusable", model=name or "embedded", reason=str(error))
        return error
