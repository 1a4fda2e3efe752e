"""Gemma as a reader: frames the key, hears what the model says, and answers with a reading or a refusal."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keylike.images.photo import Photo
from keylike.readers.contract import Quality, ReaderInfo, Reading, Reason, Unreadable
from keylike.readers.gemma.answer import answer, refuse
from keylike.readers.gemma.backends import choose
from keylike.readers.gemma.folder import Checkpoint
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.model_output import Scores
from keylike.readers.gemma.picture import Framed, Framer, KeyFinder

if TYPE_CHECKING:
    from keylike.readers.gemma.engine import Engine


class GemmaReader:
    """Reads keys with a fine-tuned Gemma 3n; `finder` shows where the key lies (None: the whole photo is always taken)."""

    def __init__(
        self, engine: Engine, info: ReaderInfo, manifest: GemmaManifest, finder: KeyFinder | None
    ) -> None:
        self._engine, self._info, self._manifest = engine, info, manifest
        self._framer = Framer(manifest.picture, finder)

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        *,
        backend: str,
        precision: str,
        max_batch: int,
        finder: KeyFinder | None,
        finder_digest: str = "",
    ) -> GemmaReader:
        """Loads a folder that was looked at and found good; the reader's digest covers how it is held and what finds the key. Raises
        ModelError."""
        manifest = checkpoint.manifest
        loaded = choose(backend).load(checkpoint, precision)
        # Only now: it needs PyTorch, and whether that is installed is for `choose` to say.
        from keylike.readers.gemma.engine import Engine

        checkpoint.refuse_changed()
        parts = (checkpoint.digest, loaded.backend, loaded.precision, finder_digest)
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        info = ReaderInfo(
            manifest.name,
            manifest.version,
            manifest.kind,
            manifest.keyways,
            digest,
            max_batch,
            workers=1,
        )
        return cls(Engine(loaded, manifest, max_batch), info, manifest, finder)

    @property
    def info(self) -> ReaderInfo:
        """Name, version and digest of what reads."""
        return self._info

    @property
    def manifest(self) -> GemmaManifest:
        """The manifest in use."""
        return self._manifest

    @property
    def processor(self) -> Any:
        """Return the checkpoint's processor: its tokenizer and its picture processor."""
        return self._engine.processor

    def warm(self) -> None:
        """Reads a grey square once."""
        grey = np.full((self._engine.side, self._engine.side, 3), 128, np.uint8)
        self._engine.hear([self._framer.frame(grey, self._engine.side).square])

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """One reading or refusal a photo, in order. Raises Overloaded where not even one photo fits into memory."""
        framed = [self._framer.frame(photo.pixels, self._engine.side) for photo in photos]
        heard = self._hear(framed)
        return [
            one if isinstance(one, Unreadable) else answer(one, self._manifest, frame.px_per_mm)
            for one, frame in zip(heard, framed, strict=True)
        ]

    def hear(self, photos: Sequence[Photo]) -> list[Scores | Unreadable]:
        """What the model said about each photo, before anything is made of it; what a calibration is fitted on."""
        return self._hear([self._framer.frame(photo.pixels, self._engine.side) for photo in photos])

    def _hear(self, framed: Sequence[Framed]) -> list[Scores | Unreadable]:
        asked = [frame for frame in framed if self._worth_asking(frame)]
        said = iter(self._engine.hear([frame.square for frame in asked]) if asked else [])
        unseen = refuse(Reason.NOT_A_KEY, "No key was found on the picture.", Quality())
        return [next(said) if self._worth_asking(frame) else unseen for frame in framed]

    def _worth_asking(self, frame: Framed) -> bool:
        """Where the finder sees no key the model is not asked: it was taught few pictures without one, if any, and would make up a code."""
        return frame.px_per_mm is not None or self._framer.finder is None
