"""The report of a calibration: metrics, a table and sentences."""

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
    """The metrics of predicted probabilities.

    Attributes:
        confidence: Mean confidence, 0 to 1.
        right: Share of correct codes, 0 to 1.
        calibration_error: Expected calibration error, 0 to 1.
        log_loss: Mean negative logarithm of the probability of what happened, in nats.
    """

    confidence: float
    right: float
    calibration_error: float
    log_loss: float

    @classmethod
    def of(cls, predicted: Sequence[float], right: Sequence[bool]) -> Figures:
        """Compute the metrics of at least one prediction."""
        pairs = list(zip(predicted, right, strict=True))
        return cls(
            sum(predicted) / len(pairs),
            sum(right) / len(pairs),
            calibration_error(pairs) or 0.0,
            log_loss(pairs),
        )


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """The result of a calibration, and figures about the photos that it was fitted on.

    Attributes:
        model: Name and version of the model.
        photos: Number of photos with a code of one of the model's keyways.
        left_out: Number of other photos, which were not used.
        refused: Number of refused photos by reason.
        calibrated_before: True if the old manifest had a calibration.
        before: Metrics with the old manifest.
        after: Metrics with the new calibration, each on photos that it was not fitted on.
        calibration: Fitted calibration.
        second_reader: True if a second reader read the photos too.
        agreement: Fitted probability of the same mistake, or None if no photo was misread by both.
    """

    model: str
    photos: int
    left_out: int
    refused: Counter[str]
    calibrated_before: bool
    before: Figures
    after: Figures
    calibration: Curve
    second_reader: bool
    agreement: Agreement | None

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible values."""
        result: dict[str, object] = {
            "model": self.model,
            "photos": self.photos,
            "left_out": self.left_out,
            "refused": dict(self.refused),
            "before": _rounded(self.before),
            "after": _rounded(self.after),
            "calibration": self.calibration.model_dump(mode="json", exclude_none=True),
        }
        if self.second_reader:
            result["agreement"] = self.agreement and self.agreement.model_dump(mode="json")
        return result

    def table(self) -> Table:
        """Return a table that compares the metrics before and after."""
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
        """Return sentences about the used and refused photos, and about the second reader."""
        curve = (
            "A temperature" if isinstance(self.calibration, Temperature) else "An isotonic curve"
        )
        fitted = (
            f"{curve} was fitted on {self.calibration.fitted_on} of {self.photos} photos "
            "of the model's keyways"
        )
        left_out = f"; {self.left_out} others show no code it can read" if self.left_out else ""
        return [f"{fitted}{refusal_summary(self.refused)}{left_out}.", *self._agreement_lines()]

    def _agreement_lines(self) -> list[str]:
        if not self.second_reader:
            return []
        if self.agreement is None:
            return [
                "No photo was misread by both readers, so the rate of shared mistakes was not "
                "fitted."
            ]
        share, count = self.agreement.shared_error, self.agreement.fitted_on
        return [
            f"Two wrong readings are assumed to agree with a probability of {share:.0%}, "
            f"fitted on {count} photos that both readers misread."
        ]


def refusal_summary(refused: Counter[str]) -> str:
    """Return the reasons with their counts, as text to append to a sentence."""
    return (
        f"; refused: {', '.join(f'{reason} {count}' for reason, count in refused.most_common())}"
        if refused
        else ""
    )


def _rounded(figures: Figures) -> dict[str, float]:
    return {key: round(value, 4) for key, value in asdict(figures).items()}
