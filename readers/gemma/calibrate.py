"""Fits a Gemma model's calibration on labelled photos and writes it into its folder: what `python app.py calibrate` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from rich.table import Table

from readers.contract import ReaderInfo, Unreadable
from readers.evaluation import Shot, calibration_error
from readers.gemma.answer import answer
from readers.gemma.confidence import whole
from readers.gemma.fit import Curve, Row, cross_fit, log_loss
from readers.gemma.heard import Choice, Heard, Trust
from readers.gemma.manifest import GemmaManifest, Temperature
from readers.gemma.manifest_file import write_fitted
from utils.errors import KeylikeError
from utils.image_processing import Photo, open_photo

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

    def hear(self, photos: Sequence[Photo]) -> list[Heard | Unreadable]:
        """What was heard about each photo, or why the model was not asked."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How far promises can be relied on: mean confidence against the share that was right, both 0 to 1; log loss in nats."""

    confidence: float
    right: float
    calibration_error: float
    log_loss: float

    @classmethod
    def of(cls, promised: Sequence[float], right: Sequence[bool]) -> Figures:
        """Over one row or more."""
        sure = list(zip(promised, right, strict=True))
        return cls(sum(promised) / len(sure), sum(right) / len(sure), calibration_error(sure) or 0.0, log_loss(sure))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was fitted and written, and on what. `photos` of the model's keyways were shown to it, `left_out` had nothing for it to read;
    `refused` counts them by reason; `before` are the figures of the manifest as it was, `after` those of photos held back."""

    model: str
    photos: int
    left_out: int
    refused: Counter[str]
    calibrated_before: bool
    before: Figures
    after: Figures
    calibration: Curve

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for one JSON line."""
        return {
            "model": self.model, "photos": self.photos, "left_out": self.left_out, "refused": dict(self.refused),
            "before": _rounded(self.before), "after": _rounded(self.after),
            "calibration": self.calibration.model_dump(mode="json", exclude_none=True),
        }  # fmt: skip

    def table(self) -> Table:
        """Before and after, side by side."""
        table = Table("", "mean confidence", "right", "calibration error", "log loss")
        was = "before" if self.calibrated_before else "not calibrated"
        for name, each in ((was, self.before), ("after (held back)", self.after)):
            table.add_row(name, f"{each.confidence:.1%}", f"{each.right:.1%}", f"{each.calibration_error:.3f}", f"{each.log_loss:.3f}")
        return table

    def line(self) -> str:
        """How many photos it rests on, and what became of the others."""
        curve = "A temperature" if isinstance(self.calibration, Temperature) else "An isotonic line"
        read = f"{curve} was fitted on {self.calibration.fitted_on} of {self.photos} photos of the model's keyways"
        left = f"; {self.left_out} others have nothing for it to read" if self.left_out else ""
        return f"{read}{_told(self.refused)}{left}."


def calibrate(
    reader: Hearing, folder: Path, shots: Sequence[Shot], *, models: Path | None = None, show: Show = lambda groups: groups
) -> Outcome:
    """Reads the photos, fits, and writes what was fitted into the model's `folder`, whose base may lie in `models`. `show` may tell how
    far it has come.

    Raises ValueError where too little was read to fit anything, naming the photo that cannot be opened, OSError for one that is missing,
    Overloaded, and ModelError where the manifest cannot be written; the folder is then as it was.
    """
    manifest = reader.manifest
    wanted = [shot for shot in shots if shot.codes is not None and shot.keyway in manifest.keyways]
    heard = listen(reader, wanted, show)
    rows, refused = sort(heard, manifest)
    try:
        fitted = cross_fit(rows)
    except ValueError as error:
        raise ValueError(f"{error}{_told(refused)}") from None
    write_fitted(folder, manifest, fitted.calibration, models=models)
    right = [hit for _, hit in rows]
    return Outcome(
        model=f"{reader.info.name}-{reader.info.version}",
        photos=len(wanted),
        left_out=len(shots) - len(wanted),
        refused=refused,
        calibrated_before=manifest.calibration is not None,
        before=Figures.of([whole(choice, manifest.calibration) for choice, _ in rows], right),
        after=Figures.of(fitted.promised, right),
        calibration=fitted.calibration,
    )


def listen(reader: Hearing, shots: Sequence[Shot], show: Show) -> list[tuple[Shot, Heard | Unreadable]]:
    """What was heard about each photo, in order."""
    groups = [shots[start : start + GROUP] for start in range(0, len(shots), GROUP)]
    return [pair for group in show(groups) for pair in zip(group, reader.hear([_open(shot) for shot in group]), strict=True)]


def sort(heard: Iterable[tuple[Shot, Heard | Unreadable]], manifest: GemmaManifest) -> tuple[list[Row], Counter[str]]:
    """The first choices that the reader would answer with, and the others' reasons. How sure is too unsure is left open: that rests on
    the calibration."""
    unsure = manifest.reply.model_copy(update={"least_confidence": 0.0})
    takes_all = manifest.model_copy(update={"reply": unsure})
    rows: list[Row] = []
    refused: Counter[str] = Counter()
    for shot, one in heard:
        first = _first(one, takes_all)
        if isinstance(first, str):
            refused[first] += 1
        else:
            rows.append((first, (first.keyway, first.codes) == (shot.keyway, shot.codes)))
    return rows, refused


def _first(one: Heard | Unreadable, manifest: GemmaManifest) -> Choice | str:
    """The first choice, or why it would not be answered with or not be calibrated."""
    if isinstance(one, Unreadable):
        return one.reason.value
    result = answer(one, manifest, None)
    if isinstance(result, Unreadable):
        return result.reason.value
    return "no_label" if one.trust is Trust.LOOSE else one.choices[0]


def _open(shot: Shot) -> Photo:
    try:
        return open_photo(shot.path.read_bytes())
    except KeylikeError as error:
        raise ValueError(f"{shot.path.name}: {error.message}") from None


def _told(refused: Counter[str]) -> str:
    """Reasons with their counts, as the end of a sentence."""
    return f"; refused: {', '.join(f'{reason} {count}' for reason, count in refused.most_common())}" if refused else ""


def _rounded(figures: Figures) -> dict[str, float]:
    return {key: round(value, 4) for key, value in asdict(figures).items()}
