"""Fits a Gemma model's calibration on labelled photos and writes it into its folder: what `python app.py calibrate` does."""

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
from keylike.readers.gemma.calibrated import Calibrated, Figures, told
from keylike.readers.gemma.confidence import whole
from keylike.readers.gemma.fit import Row, cross_fit
from keylike.readers.gemma.manifest import Agreement, GemmaManifest
from keylike.readers.gemma.manifest_file import write_fitted
from keylike.readers.gemma.model_output import Choice, Scores, Trust

# Photos opened at a time, as many as the largest batch that is worth while: each may take 12 MB.
GROUP = 8
Show = Callable[[Sequence[Sequence[Shot]]], Iterable[Sequence[Shot]]]


@runtime_checkable
class Hearing(Protocol):
    """A reader that tells what its model said before anything is made of it."""

    @property
    def info(self) -> ReaderInfo:
        """Who reads."""

    @property
    def manifest(self) -> GemmaManifest:
        """The manifest in use."""

    def hear(self, photos: Sequence[Photo]) -> list[Scores | Unreadable]:
        """What was heard about each photo, or why the model was not asked."""


def calibrate(
    reader: Hearing,
    folder: Path,
    shots: Sequence[Shot],
    *,
    beside: Reader | None = None,
    models: Path | None = None,
    show: Show = lambda groups: groups,
) -> Calibrated:
    """Reads the photos, fits, and writes what was fitted into the model's `folder`, whose base may lie in `models`. With a second reader
    `beside` it, how often both make the same mistake is fitted too. `show` may tell how far it has come.

    Raises ValueError where too little was read to fit anything, naming the photo that cannot be opened, OSError for one that is missing,
    Overloaded, and ModelError where the manifest cannot be written; the folder is then as it was.
    """
    manifest = reader.manifest
    wanted = [shot for shot in shots if shot.codes is not None and shot.keyway in manifest.keyways]
    tried = listen(reader, beside, wanted, show)
    rows, refused = sort(tried, manifest)
    try:
        fitted = cross_fit(rows)
    except ValueError as error:
        raise ValueError(f"{error}{told(refused)}") from None
    agreement = agreement_of(tried, manifest)
    write_fitted(folder, manifest, fitted.calibration, agreement, models=models)
    right = [hit for _, hit in rows]
    return Calibrated(
        model=f"{reader.info.name}-{reader.info.version}",
        photos=len(wanted),
        left_out=len(shots) - len(wanted),
        refused=refused,
        calibrated_before=manifest.calibration is not None,
        before=Figures.of([whole(choice, manifest.calibration) for choice, _ in rows], right),
        after=Figures.of(fitted.promised, right),
        calibration=fitted.calibration,
        beside=beside is not None,
        agreement=agreement,
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """One labelled photo: what was heard about it, and what a second reader read, if there is one."""

    shot: Shot
    heard: Scores | Unreadable
    beside: Reading | Unreadable | None

    @property
    def truth(self) -> Code:
        """The keyway and code of its label."""
        return self.shot.keyway, self.shot.codes or ()


def listen(
    reader: Hearing, beside: Reader | None, shots: Sequence[Shot], show: Show
) -> list[Tried]:
    """Has each photo read, in order."""
    tried: list[Tried] = []
    for group in show([shots[start : start + GROUP] for start in range(0, len(shots), GROUP)]):
        photos = [_open(shot) for shot in group]
        seen = beside.read(photos) if beside else [None] * len(photos)
        tried += map(Tried, group, reader.hear(photos), seen)
    return tried


def sort(tried: Iterable[Tried], manifest: GemmaManifest) -> tuple[list[Row], Counter[str]]:
    """The first choices that the reader would answer with and whether they are right, and the others' reasons."""
    rows: list[Row] = []
    refused: Counter[str] = Counter()
    for one in tried:
        first = _first(one.heard, manifest)
        if isinstance(first, str):
            refused[first] += 1
        else:
            rows.append((first, (first.keyway, first.codes) == one.truth))
    return rows, refused


def agreement_of(tried: Iterable[Tried], manifest: GemmaManifest) -> Agreement | None:
    """How often two wrong readings are the same; None where no photo was read wrong by both."""
    outcomes = []
    for one in tried:
        first = _first(one.heard, manifest)
        if isinstance(first, Choice) and isinstance(one.beside, Reading):
            outcomes.append(Outcome(one.truth, (first.keyway, first.codes), code_of(one.beside)))
    shared_error, wrong = fit_shared_error(outcomes)
    return Agreement(shared_error=round(shared_error, 4), fitted_on=wrong) if wrong else None


def _first(heard: Scores | Unreadable, manifest: GemmaManifest) -> Choice | str:
    """The first choice, or why it would not be answered with or not be calibrated. How sure is too unsure is left open here, since it
    rests on the calibration."""
    if isinstance(heard, Unreadable):
        return heard.reason.value
    takes_all = manifest.model_copy(
        update={"reply": manifest.reply.model_copy(update={"least_confidence": 0.0})}
    )
    result = answer(heard, takes_all, None)
    if isinstance(result, Unreadable):
        return result.reason.value
    return "no_label" if heard.trust is Trust.LOOSE else heard.choices[0]


def _open(shot: Shot) -> Photo:
    try:
        return open_photo(shot.path.read_bytes())
    except KeylikeError as error:
        raise ValueError(f"{shot.path.name}: {error.message}") from None
