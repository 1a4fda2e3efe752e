"""Scores a reader on a folder of labelled photos: images/ and labels.jsonl with file, keyway, bitting and tier a line."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from readers.contract import Reader, Reading, Unreadable
from utils.image_processing import open_photo

Z_95 = 1.96
BINS = 10


@dataclass(frozen=True, slots=True)
class Shot:
    """One labelled photo; `codes` is None where there is nothing to read."""

    path: Path
    keyway: str
    codes: tuple[int, ...] | None
    tier: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reader made of one shot; `ms` from bytes to reading."""

    shot: Shot
    result: Reading | Unreadable
    ms: float

    @property
    def whole(self) -> bool:
        """Keyway and every cut right."""
        return isinstance(self.result, Reading) and self.result.keyway == self.shot.keyway and self.result.codes == self.shot.codes

    @property
    def among_three(self) -> bool:
        """The right code among the first three candidates."""
        if not isinstance(self.result, Reading):
            return False
        return self.shot.codes in [candidate.codes for candidate in self.result.candidates[:3]]

    @property
    def right_cuts(self) -> int:
        """How many cuts are right; none of a refusal's."""
        if not isinstance(self.result, Reading) or self.shot.codes is None:
            return 0
        return sum(a == b for a, b in zip(self.result.codes, self.shot.codes, strict=False))


@dataclass
class Score:
    """Counts over some verdicts on readable keys."""

    photos: int = 0
    whole: int = 0
    three: int = 0
    cuts: int = 0
    right_cuts: int = 0
    keyway: int = 0
    refused: int = 0

    def add(self, verdict: Verdict) -> None:
        """Counts one verdict in."""
        self.photos += 1
        self.whole += verdict.whole
        self.three += verdict.among_three
        self.cuts += len(verdict.shot.codes or ())
        self.right_cuts += verdict.right_cuts
        self.keyway += isinstance(verdict.result, Reading) and verdict.result.keyway == verdict.shot.keyway
        self.refused += isinstance(verdict.result, Unreadable)

    def to_dict(self) -> dict[str, object]:
        """Shares of all photos, refusals counted as wrong; `whole_95` is Wilson's interval."""
        share = [round(count / max(1, self.photos), 4) for count in (self.whole, self.three, self.keyway, self.refused)]
        low, high = wilson(self.whole, self.photos)
        return {
            "photos": self.photos, "whole": share[0], "whole_95": [round(low, 4), round(high, 4)], "top3": share[1],
            "cut": round(self.right_cuts / max(1, self.cuts), 4), "keyway": share[2], "refused": share[3],
        }  # fmt: skip


@dataclass
class Report:
    """The scores of one run: readable keys by tier and keyway, and what became of everything else."""

    by_group: dict[str, Score] = field(default_factory=dict)
    unreadable: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    sure: list[tuple[float, bool]] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    def add(self, verdict: Verdict, readable: Sequence[str]) -> None:
        """Counts one verdict in; `readable` are the keyways the reader claims to know."""
        self.ms.append(verdict.ms)
        if isinstance(verdict.result, Unreadable):
            self.reasons[verdict.result.reason] += 1
        if verdict.shot.keyway not in readable or verdict.shot.codes is None:
            counts = self.unreadable.setdefault(verdict.shot.keyway.split(":")[0], Counter())
            counts["photos"] += 1
            counts["refused" if isinstance(verdict.result, Unreadable) else f"read_as_{verdict.result.keyway}"] += 1
            return
        for group in ("all", verdict.shot.tier, verdict.shot.keyway):
            self.by_group.setdefault(group, Score()).add(verdict)
        if isinstance(verdict.result, Reading):
            self.sure.append((verdict.result.confidence, verdict.whole))

    def to_dict(self) -> dict[str, object]:
        """Everything as plain values, ready for one JSON line."""
        ordered = sorted(self.ms) or [0.0]
        return {
            "readable": {name: score.to_dict() for name, score in self.by_group.items()},
            "not_readable": {name: dict(counts) for name, counts in self.unreadable.items()},
            "refusals": dict(self.reasons),
            "calibration_error": calibration_error(self.sure),
            "ms_p50": round(ordered[len(ordered) // 2], 1),
            "ms_p95": round(ordered[int(len(ordered) * 0.95)], 1),
        }


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927)."""
    if not total:
        return 0.0, 1.0
    p, z2 = hits / total, Z_95**2
    middle, half = p + z2 / (2 * total), Z_95 * math.sqrt(p * (1 - p) / total + z2 / (4 * total**2))
    return (middle - half) / (1 + z2 / total), (middle + half) / (1 + z2 / total)


def calibration_error(sure: Sequence[tuple[float, bool]]) -> float | None:
    """Expected calibration error over ten equal bins of confidence; None without readings."""
    if not sure:
        return None
    bins: dict[int, list[tuple[float, bool]]] = {}
    for chance, right in sure:
        bins.setdefault(min(BINS - 1, int(chance * BINS)), []).append((chance, right))
    gaps = (abs(sum(c for c, _ in rows) - sum(r for _, r in rows)) for rows in bins.values())
    return round(sum(gaps) / len(sure), 4)


def shots(folder: Path) -> list[Shot]:
    """The labelled photos of a folder. Raises FileNotFoundError without labels.jsonl, ValueError for a line that is no label."""
    found = []
    for number, line in enumerate((folder / "labels.jsonl").read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            codes = None if row["bitting"] is None else tuple(int(code) for code in row["bitting"])
            path = folder / "images" / row["file"]
            found.append(Shot(path if path.exists() else folder / row["file"], _keyway(row["keyway"]), codes, row["tier"]))
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"line {number} of labels.jsonl is no label with file, keyway, bitting and tier") from None
    return found


def _keyway(name: str) -> str:
    """`other:Maker(SC4)`, the way a family outside the tiers is written, is that family when its name stands in brackets."""
    return name[name.index("(") + 1 : -1] if name.startswith("other:") and name.endswith(")") else name


def judge(
    reader: Reader, photos: Iterable[Shot], tell: Callable[[Verdict], None], clock: Callable[[], float] = time.perf_counter
) -> Report:
    """Reads every photo, hands each verdict to `tell`, and adds them up. A photo that cannot be opened raises its KeylikeError."""
    report = Report()
    for shot in photos:
        data = shot.path.read_bytes()
        start = clock()
        result = reader.read([open_photo(data)])[0]
        verdict = Verdict(shot, result, (clock() - start) * 1e3)
        report.add(verdict, reader.info.keyways)
        tell(verdict)
    return report
