"""One labelled photo, and what a reader made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keylike.readers.contract import Reading, Unreadable


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
    def right_keyway(self) -> bool:
        """The keyway right, whatever the cuts."""
        return isinstance(self.result, Reading) and self.result.keyway == self.shot.keyway

    @property
    def whole(self) -> bool:
        """Keyway and every cut right."""
        return (
            self.right_keyway
            and isinstance(self.result, Reading)
            and self.result.codes == self.shot.codes
        )

    @property
    def among_three(self) -> bool:
        """The keyway right, and the right code among the first three candidates."""
        if not self.right_keyway or not isinstance(self.result, Reading):
            return False
        return self.shot.codes in [candidate.codes for candidate in self.result.candidates[:3]]

    @property
    def right_cuts(self) -> int:
        """How many cuts are right, whatever the keyway; none of a refusal's."""
        if not isinstance(self.result, Reading) or self.shot.codes is None:
            return 0
        return sum(a == b for a, b in zip(self.result.codes, self.shot.codes, strict=False))
