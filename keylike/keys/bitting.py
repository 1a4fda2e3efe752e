"""The bitting (the code of a key): parse, format and validate it, and convert it to heights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from keylike.keys.keyways import MM_PER_INCH, Keyway

# Patterns of a written code: without separators, as in "25473", or with them, as in "2,5,4,7,3".
_COMPACT = re.compile(r"[0-9]{1,16}")
_SEPARATED = re.compile(r"[0-9]{1,2}(?:(?:\s*[,;-]\s*|\s+)[0-9]{1,2}){1,15}")


class BittingError(ValueError):
    """An error for a text that is not a code, or for a code that the keyway does not allow.

    `problems` contains one sentence per problem. It names positions, but never a depth of the code.
    """

    def __init__(self, keyway: Keyway, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.keyway = keyway
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Bitting:
    """The code of a key: the maker's depth numbers, in the `order` of the keyway.

    Impossible codes are accepted too, so that their problems can be described; see `problems` and
    `validate`. The repr does not contain the code, because a code opens a door and a repr may be
    logged.
    """

    keyway: Keyway
    codes: tuple[int, ...] = field(repr=False)

    @classmethod
    def parse(cls, keyway: Keyway, text: str) -> Bitting:
        """Parse a code such as "2,5,4,7,3", "2 5 4 7 3", "2-5-4-7-3" or "25473".

        Raises:
            BittingError: The text is not a code.
        """
        written = text.strip()
        if _COMPACT.fullmatch(written):
            return cls(keyway, tuple(map(int, written)))
        if _SEPARATED.fullmatch(written):
            return cls(keyway, tuple(map(int, re.findall("[0-9]+", written))))
        raise BittingError(
            keyway, ('a bitting is a list of depth numbers, such as "2,5,4,7,3" or "25473"',)
        )

    def format(self) -> str:
        """Return the code as "2,5,4,7,3"."""
        return ",".join(map(str, self.codes))

    def problems(self) -> tuple[str, ...]:
        """Return one sentence for each problem: number of cuts, depth range, MACS.

        The result is empty if the code is valid.
        """
        return (*self.shape_problems(), *self._macs_problems())

    @property
    def valid(self) -> bool:
        """Return True if the maker could cut this key."""
        return not self.problems()

    def validate(self) -> None:
        """Check the code.

        Raises:
            BittingError: The code is not valid.
        """
        self._raise_if_any(self.problems())

    def require_shape(self) -> None:
        """Check the number of cuts and the depths, but not MACS.

        Raises:
            BittingError: The number of cuts or a depth is not valid.
        """
        self._raise_if_any(self.shape_problems())

    @property
    def levels(self) -> tuple[int, ...]:
        """Return the level of each cut: how many steps it is deeper than the shallowest depth.

        Raises:
            BittingError: The keyway does not have one of the depths.
        """
        self._raise_if_any(self._range_problems())
        order = tuple(self.keyway.depths_mm)
        return tuple(map(order.index, self.codes))

    @property
    def depths_mm(self) -> tuple[float, ...]:
        """Return the height of the blade that is left under each cut, in millimetres.

        Raises:
            BittingError: The keyway does not have one of the depths.
        """
        self._raise_if_any(self._range_problems())
        return tuple(self.keyway.depths_mm[code] for code in self.codes)

    @property
    def depths_in(self) -> tuple[float, ...]:
        """Return the height of the blade that is left under each cut, in inches.

        Raises:
            BittingError: The keyway does not have one of the depths.
        """
        return tuple(round(height / MM_PER_INCH, 6) for height in self.depths_mm)

    def shape_problems(self) -> tuple[str, ...]:
        """Return one sentence for each problem with the number of cuts or a depth."""
        return (*self._count_problems(), *self._range_problems())

    def _count_problems(self) -> tuple[str, ...]:
        allowed = self.keyway.cut_counts
        if len(self.codes) in allowed:
            return ()
        return (
            (
                f"a {self.keyway.name} key has {' or '.join(map(str, allowed))} cuts, "
                f"not {len(self.codes)}"
            ),
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

    def _raise_if_any(self, problems: tuple[str, ...]) -> None:
        if problems:
            raise BittingError(self.keyway, problems)
