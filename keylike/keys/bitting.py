"""Owns the bitting: a key's code as a value, read from text, written, checked against its keyway and turned into heights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from keylike.keys.keyways import MM_PER_INCH, Keyway

_TOGETHER = re.compile(r"[0-9]{1,16}")
_APART = re.compile(r"[0-9]{1,2}(?:(?:\s*[,;-]\s*|\s+)[0-9]{1,2}){1,15}")


class BittingError(ValueError):
    """A code that is none, or none of this keyway. `problems` says what is wrong by position, and never tells a depth."""

    def __init__(self, keyway: Keyway, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.keyway = keyway
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Bitting:
    """A key's code: the maker's depth numbers, bow to tip (tip to bow where the keyway's `order` says so).

    Any numbers can be held, so that an impossible reading can be spoken about: ask `problems()` or call `validate()`.
    The code stays out of the value's repr, because it opens a door and reprs end up in logs.
    """

    keyway: Keyway
    codes: tuple[int, ...] = field(repr=False)

    @classmethod
    def parse(cls, keyway: Keyway, text: str) -> Bitting:
        """Reads "2,5,4,7,3", "2 5 4 7 3", "2-5-4-7-3" or "25473"; raises BittingError for anything else."""
        written = text.strip()
        if _TOGETHER.fullmatch(written):
            return cls(keyway, tuple(map(int, written)))
        if _APART.fullmatch(written):
            return cls(keyway, tuple(map(int, re.findall("[0-9]+", written))))
        raise BittingError(
            keyway, ('a bitting is written as depth numbers, such as "2,5,4,7,3" or "25473"',)
        )

    def format(self) -> str:
        """The code as "2,5,4,7,3"."""
        return ",".join(map(str, self.codes))

    def problems(self) -> tuple[str, ...]:
        """What makes this no possible key of the keyway: number of cuts, depths out of range, MACS broken. Empty when valid."""
        return (*self.shape_problems(), *self._macs_problems())

    @property
    def valid(self) -> bool:
        """Whether the maker could cut this key."""
        return not self.problems()

    def validate(self) -> None:
        """Raises BittingError unless valid."""
        self._refuse(self.problems())

    def require_shape(self) -> None:
        """Raises BittingError where the number of cuts or a depth is not of the keyway; MACS may be broken."""
        self._refuse(self.shape_problems())

    @property
    def levels(self) -> tuple[int, ...]:
        """Steps below the shallowest depth, for each cut; raises BittingError for a depth the keyway does not have."""
        self._refuse(self._range_problems())
        order = tuple(self.keyway.depths_mm)
        return tuple(map(order.index, self.codes))

    @property
    def depths_mm(self) -> tuple[float, ...]:
        """Blade height left under each cut, millimetres; raises BittingError for a depth the keyway does not have."""
        self._refuse(self._range_problems())
        return tuple(self.keyway.depths_mm[code] for code in self.codes)

    @property
    def depths_in(self) -> tuple[float, ...]:
        """Blade height left under each cut, inches; raises BittingError for a depth the keyway does not have."""
        return tuple(round(height / MM_PER_INCH, 6) for height in self.depths_mm)

    def shape_problems(self) -> tuple[str, ...]:
        """A wrong number of cuts and depths that the keyway does not have."""
        return (*self._count_problems(), *self._range_problems())

    def _count_problems(self) -> tuple[str, ...]:
        allowed = self.keyway.cut_counts
        if len(self.codes) in allowed:
            return ()
        return (
            f"a {self.keyway.name} key has {' or '.join(map(str, allowed))} cuts, not {len(self.codes)}",
        )

    def _range_problems(self) -> tuple[str, ...]:
        known = self.keyway.depths_mm
        span = f"{min(known)} to {max(known)}"
        wrong = (position for position, code in enumerate(self.codes, start=1) if code not in known)
        return tuple(
            f"cut {position} has a depth that {self.keyway.name} does not have ({span})"
            for position in wrong
        )

    def _macs_problems(self) -> tuple[str, ...]:
        limit = self.keyway.macs
        if limit is None or self._range_problems():
            return ()
        steps = (abs(deeper - level) for level, deeper in pairwise(self.levels))
        wrong = (position for position, step in enumerate(steps, start=1) if step > limit)
        return tuple(
            f"cuts {position} and {position + 1} differ by more than {limit} steps (MACS)"
            for position in wrong
        )

    def _refuse(self, problems: tuple[str, ...]) -> None:
        if problems:
            raise BittingError(self.keyway, problems)
