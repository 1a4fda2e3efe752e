"""Fit the calibration of a Gemma model on labelled photos and write it to its folder.

This implements `keylike calibrate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from keylike.errors import KeylikeError
from keylike.images.photo import Photo, open_photo
from keylike.readers.agree import Code, Outcome, code_of, fit_shared_error
from keylike.readers.contract import Reader, ReaderInfo, Reading, Unreadable
from keylike.readers.evaluation import Shot
from keylike.readers.gemma.answer import answer
from keylike.readers.gemma.calibration_report import CalibrationReport, Figures, refusal_summary
from keylike.readers.gemma.confidence import code_probability
from keylike.readers.gemma.fit import Row, cross_fit
from keylike.readers.gemma.manifest import Agreement, GemmaManifest
from keylike.readers.gemma.manifest_file import write_fitted
from keylike.readers.gemma.model_output import Choice, Scores, Trust

# Number of photos that are decoded at the same time. Each takes up to 12 MB.
GROUP = 8
Show = Callable[[Sequence[Sequence[Shot]]], Iterable[Sequence[Shot]]]


@runtime_checkable
class ScoringReader(Protocol):
    """A reader that can also return the raw scores of its model."""

    @property
    def info(self) -> ReaderInfo:
        """Return the name, version and digest of the reader."""

    @property
    def manifest(self) -> GemmaManifest:
        """Return the manifest in use."""

    def score(self, photos: Sequence[Photo]) -> list[Scores | Unreadable]:
        """Return the scores of each photo, or a refusal if the model was not run."""


def calibrate(
    reader: ScoringReader,
    folder: Path,
    shots: Sequence[Shot],
    *,
    second_reader: Reader | None = None,
    models: Path | None = None,
    show: Show = lambda groups: groups,
) -> CalibrationReport:
    """Read the photos, fit a calibration and write it to the manifest in `folder`.

    Args:
        reader: Reader to calibrate.
        folder: Folder of its model.
        shots: Labelled photos.
        second_reader: A second reader, or None. If given, the probability that both readers make
            the same mistake is fitted too.
        models: Folder that may contain the base model.
        show: Function that displays progress while it yields the groups of photos.

    Raises:
        ValueError: There are too few readings, or a photo cannot be decoded.
        OSError: A photo is missing.
        Overloaded: Not even one photo fits into memory.
        ModelError: The manifest cannot be written. The folder is then unchanged.
    """
    manifest = reader.manifest
    wanted = [shot for shot in shots if shot.codes is not None and shot.keyway in manifest.keyways]
    samples = score_shots(reader, second_reader, wanted, show)
    rows, refused = calibration_rows(samples, manifest)
    try:
        fitted = cross_fit(rows)
    except ValueError as error:
        raise ValueError(f"{error}{refusal_summary(refused)}") from None
    agreement = agreement_of(samples, manifest)
    write_fitted(folder, manifest, fitted.calibration, agreement, models=models)
    right = [correct for _, correct in rows]
    return CalibrationReport(
        model=reader.info.label,
        photos=len(wanted),
        left_out=len(shots) - len(wanted),
        refused=refused,
        calibrated_before=manifest.calibration is not None,
        before=Figures.of(
            [code_probability(choice, manifest.calibration) for choice, _ in rows], right
        ),
        after=Figures.of(fitted.predicted, right),
        calibration=fitted.calibration,
        second_reader=second_reader is not None,
        agreement=agreement,
    )


@dataclass(frozen=True, slots=True)
class Sample:
    """A labelled photo with the model's scores and the result of the second reader, if any."""

    shot: Shot
    scores: Scores | Unreadable
    second_result: Reading | Unreadable | None

    @property
    def truth(self) -> Code:
        """Return the correct keyway and code."""
        return self.shot.keyway, self.shot.codes or ()


def score_shots(
    reader: ScoringReader, second_reader: Reader | None, shots: Sequence[Shot], show: Show
) -> list[Sample]:
    """Return the scores of each photo, in order."""
    samples: list[Sample] = []
    for group in show([shots[start : start + GROUP] for start in range(0, len(shots), GROUP)]):
        photos = [_open(shot) for shot in group]
        second = second_reader.read(photos) if second_reader else [None] * len(photos)
        samples += map(Sample, group, reader.score(photos), second)
    return samples


def calibration_rows(
    samples: Iterable[Sample], manifest: GemmaManifest
) -> tuple[list[Row], Counter[str]]:
    """Return the rows for fitting a calibration, and the number of refusals by reason.

    A row is the model's most probable code, and True if that code is correct.
    """
    rows: list[Row] = []
    refused: Counter[str] = Counter()
    for sample in samples:
        first = _first(sample.scores, manifest)
        if isinstance(first, str):
            refused[first] += 1
        else:
            rows.append((first, (first.keyway, first.codes) == sample.truth))
    return rows, refused


def agreement_of(samples: Iterable[Sample], manifest: GemmaManifest) -> Agreement | None:
    """Return how often two wrong readings agree, or None if no photo was misread by both."""
    outcomes = []
    for sample in samples:
        first = _first(sample.scores, manifest)
        if isinstance(first, Choice) and isinstance(sample.second_result, Reading):
            outcomes.append(
                Outcome(sample.truth, (first.keyway, first.codes), code_of(sample.second_result))
            )
    shared_error, wrong = fit_shared_error(outcomes)
    return Agreement(shared_error=round(shared_error, 4), fitted_on=wrong) if wrong else None


def _first(scores: Scores | Unreadable, manifest: GemmaManifest) -> Choice | str:
    """Return the model's most probable code, or the reason why it cannot be used for fitting.

    The smallest confidence of the manifest is not applied, because the confidence depends on the
    calibration that is being fitted.
    """
    if isinstance(scores, Unreadable):
        return scores.reason.value
    without_threshold = manifest.model_copy(
        update={"reply": manifest.reply.model_copy(update={"least_confidence": 0.0})}
    )
    result = answer(scores, without_threshold, None)
    if isinstance(result, Unreadable):
        return result.reason.value
    return "no_label" if scores.trust is Trust.LOOSE else scores.choices[0]


def _open(shot: Shot) -> Photo:
    try:
        return open_photo(shot.path.read_bytes())
    except KeylikeError as error:
        raise ValueError(f"{shot.path.name}: {error.message}") from None
