"""Load classifiers by name on first use, and evict the least recently used one."""

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

# Pattern of the name of a classifier, which is the name of its folder. It excludes paths that lead
# to other folders.
NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
# Largest number of classifiers in memory.
_MAX_LOADED = 4


class Classifiers:
    """A cache of loaded classifiers.

    Args:
        models: Folder that contains the model folders.
        embedded: Function that loads the default classifier.
        load: Function that loads a classifier from its folder.
        log: Log for loading errors.
        max_loaded: Largest number of classifiers kept in memory.
    """

    def __init__(
        self,
        models: Path,
        *,
        embedded: Callable[[], Classifier],
        load: Callable[[Path], Classifier],
        log: BoundLogger,
        max_loaded: int = _MAX_LOADED,
    ) -> None:
        self._models = models
        self._embedded = embedded
        self._load = load
        self._log = log
        self._loaded: LRUCache[str, Classifier] = LRUCache(max_loaded)
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def choose(self, name: str | None) -> Callable[[], Classifier]:
        """Return a function that returns a classifier, and loads it if necessary.

        `name` is the name of the classifier, or None for the embedded one.

        Raises:
            NotFound: There is no folder with this name.
            BadRequest: The folder contains another kind of model.
            ModelError: The manifest cannot be read.
        """
        if name is None:
            return partial(self._get, "", self._embedded)
        folder = self._models / name
        if not re.fullmatch(NAME, name) or not folder.is_dir():
            raise NotFound("There is no model of this name.")
        try:
            kind = read_manifest(folder).get("kind") if has_manifest(folder) else None
        except ModelError as error:
            raise self._logged(name, error) from None
        if kind != KIND:
            raise BadRequest(
                "This model is not a classifier. Leave out the name to use the embedded one."
            )
        return partial(self._get, name, partial(self._load, folder))

    def _get(self, name: str, load: Callable[[], Classifier]) -> Classifier:
        """Return a classifier, and load it if necessary.

        Only one classifier is loaded at a time. Requests for a loaded one do not wait.
        """
        found = self._find(name)
        if found is not None:
            return found
        with self._loading:
            found = self._find(name)
            if found is None:
                found = self._load_and_warm(name, load)
                with self._lock:
                    self._loaded[name] = found
            return found

    def _find(self, name: str) -> Classifier | None:
        with self._lock:
            return self._loaded.get(name)

    def _load_and_warm(self, name: str, load: Callable[[], Classifier]) -> Classifier:
        try:
            classifier = load()
            classifier.warm()
        except ModelError as error:
            raise self._logged(name, error) from None
        return classifier

    def _logged(self, name: str, error: ModelError) -> ModelError:
        """Log the error and return it. Only the operator sees its text, not the client."""
        self._log.error("classifier_unusable", model=name or "embedded", reason=str(error))
        return error
