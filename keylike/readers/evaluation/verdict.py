"""A labelled photo, and the verdict on its reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keylike.readers.contract import Reading, Unreadable


@dataclass(frozen=True, slots=True)
class Shot:
    """A labelled photo. `codes` is None if the photo shows no code, such as an uncut key.

    `tier` is the group of photos that it belongs to, such as a degree of difficulty.
    """

    path: Path
    keyway: str
    codes: tuple[int, ...] | None
    tier: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of reading a labelled photo. `ms` is the time from its bytes to the result."""

    shot: Shot
    result: Reading | Unreadable
    ms: float

    @property
    def right_keyway(self) -> bool:
        """Return True if the keyway is correct."""
        return isinstance(self.result, Reading) and self.result.keyway == self.shot.keyway

    @property
    def whole(self) -> bool:
        """Return True if the keyway and every cut are correct."""
        return (
            self.right_keyway
            and isinstance(self.result, Reading)
            and self.result.codes == self.shot.codes
        )

    @property
    def in_top_three(self) -> bool:
        """Return True if the keyway is correct and the code is among the first three candidates."""
        if not self.right_keyway or not isinstance(self.result, Reading):
            return False
        return self.shot.codes in [candidate.codes for candidate in self.result.candidates[:3]]

    @property
    def right_cuts(self) -> int:
        """Return the number of correct cuts. A wrong keyway does not matter; a refusal has 0."""
        if not isinstance(self.result, Reading) or self.shot.codes is None:
            return 0
        return sum(a == b for a, b in zip(self.result.codes, self.shot.codes, strict=False))
