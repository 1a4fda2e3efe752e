"""A reader that crops the key, runs Gemma, and returns a reading or a refusal."""

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
    from keylike.readers.gemma.model_runner import ModelRunner


class GemmaReader:
    """A reader of keys with a fine-tuned Gemma 3n.

    Args:
        runner: Loaded model.
        info: Description of the reader.
        manifest: Manifest of the model.
        finder: Finds the key in a photo. If it is None, the model always gets the whole photo.
    """

    def __init__(
        self,
        runner: ModelRunner,
        info: ReaderInfo,
        manifest: GemmaManifest,
        finder: KeyFinder | None,
    ) -> None:
        self._runner = runner
        self._info = info
        self._manifest = manifest
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
        """Load a folder that passed all checks.

        The digest of the reader covers the backend, the precision and the finder.

        Raises:
            ModelError: The model cannot be loaded.
        """
        manifest = checkpoint.manifest
        loaded = choose(backend).load(checkpoint, precision)
        # Imported here because it needs PyTorch. If PyTorch is missing, `choose` has reported it.
        from keylike.readers.gemma.model_runner import ModelRunner

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
        return cls(ModelRunner(loaded, manifest, max_batch), info, manifest, finder)

    @property
    def info(self) -> ReaderInfo:
        """Return the name, version and digest of the reader."""
        return self._info

    @property
    def manifest(self) -> GemmaManifest:
        """Return the manifest in use."""
        return self._manifest

    @property
    def processor(self) -> Any:
        """Return the processor of the checkpoint, which contains tokenizer and image processor."""
        return self._runner.processor

    def warm(self) -> None:
        """Run the model once on a grey square."""
        grey = np.full((self._runner.side, self._runner.side, 3), 128, np.uint8)
        self._runner.score([self._framer.frame(grey, self._runner.side).square])

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return one reading or refusal per photo, in order.

        Raises:
            Overloaded: Not even one photo fits into memory.
        """
        framed = [self._framer.frame(photo.pixels, self._runner.side) for photo in photos]
        return [
            result
            if isinstance(result, Unreadable)
            else answer(result, self._manifest, frame.px_per_mm)
            for result, frame in zip(self._score(framed), framed, strict=True)
        ]

    def score(self, photos: Sequence[Photo]) -> list[Scores | Unreadable]:
        """Return the scores of each photo, or a refusal if no key was found.

        Calibrations are fitted with these scores.
        """
        return self._score(
            [self._framer.frame(photo.pixels, self._runner.side) for photo in photos]
        )

    def _score(self, framed: Sequence[Framed]) -> list[Scores | Unreadable]:
        accepted = [frame for frame in framed if self._accepts(frame)]
        scores = iter(self._runner.score([frame.square for frame in accepted]) if accepted else [])
        not_found = refuse(Reason.NOT_A_KEY, "No key was found in the picture.", Quality())
        return [next(scores) if self._accepts(frame) else not_found for frame in framed]

    def _accepts(self, frame: Framed) -> bool:
        """Return False if there is a finder and it found no key.

        In training, the model has seen few pictures without a key or none, so it would invent a
        code.
        """
        return frame.px_per_mm is not None or self._framer.finder is None
