"""What came of a calibration, as figures, as a table and as sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from keylike.readers.evaluation import calibration_error
from keylike.readers.gemma.fit import Curve, log_loss
from keylike.readers.gemma.manifest import Agreement, Temperature


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
        return cls(
            sum(promised) / len(sure),
            sum(right) / len(sure),
            calibration_error(sure) or 0.0,
            log_loss(sure),
        )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was fitted and written, and on what. `photos` of the model's keyways were shown to it, `left_out` had nothing for it to read;
    `refused` counts them by reason; `before` are the figures of the manifest as it was, `after` those of photos held back. `beside`:
    whether a second reader read too; `agreement` is then None where no photo was read wrong by both."""

    model: str
    photos: int
    left_out: int
    refused: Counter[str]
    calibrated_before: bool
    before: Figures
    after: Figures
    calibration: Curve
    beside: bool
    agreement: Agreement | None

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for one JSON line."""
        return {
            "model": self.model, "photos": self.photos, "left_out": self.left_out, "refused": dict(self.refused),
            "before": _rounded(self.before), "after": _rounded(self.after),
            "calibration": self.calibration.model_dump(mode="json", exclude_none=True),
            **({"agreement": self.agreement and self.agreement.model_dump(mode="json")} if self.beside else {}),
        }  # fmt: skip

    def table(self) -> Table:
        """Before and after, side by side."""
        table = Table("", "mean confidence", "right", "calibration error", "log loss")
        was = "before" if self.calibrated_before else "not calibrated"
        for name, each in ((was, self.before), ("after (held back)", self.after)):
            table.add_row(
                name,
                f"{each.confidence:.1%}",
                f"{each.right:.1%}",
                f"{each.calibration_error:.3f}",
                f"{each.log_loss:.3f}",
            )
        return table

    def lines(self) -> list[str]:
        """How many photos it rests on, and what became of the others; what two wrong readings have in common."""
        curve = "A temperature" if isinstance(self.calibration, Temperature) else "An isotonic line"
        read = f"{curve} was fitted on {self.calibration.fitted_on} of {self.photos} photos of the model's keyways"
        left = f"; {self.left_out} others have nothing for it to read" if self.left_out else ""
        return [f"{read}{told(self.refused)}{left}.", *self._on_agreement()]

    def _on_agreement(self) -> list[str]:
        if not self.beside:
            return []
        if self.agreement is None:
            return [
                "No photo was read wrong by both readers: how often they make the same mistake was not fitted."
            ]
        share, count = self.agreement.shared_error, self.agreement.fitted_on
        return [
            f"Two wrong readings are taken to be the same with a chance of {share:.0%}, fitted on {count} photos that both read wrong."
        ]


def told(refused: Counter[str]) -> str:
    """Reasons with their counts, as the end of a sentence."""
    return (
        f"; refused: {', '.join(f'{reason} {count}' for reason, count in refused.most_common())}"
        if refused
        else ""
    )


def _rounded(figures: Figures) -> dict[str, float]:
    return {key: round(value, 4) for key, value in asdict(figures).items()}
