"""Owns the record of each family of keys: its depths, positions and limits, and where every number comes from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

MM_PER_INCH = 25.4
ASSUMPTION = "assumption"


class UnknownKeyway(LookupError):
    """No record of that name; `name` is what was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no keyway is called {name!r}; known are {', '.join(keyways())}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Conflict:
    """Sources that disagree about a field of the record: each value with who gives it, and which one is used."""

    field: str
    values: Mapping[str, tuple[str, ...]]
    used: str


@dataclass(frozen=True, slots=True, eq=False)
class Keyway:
    """One family of keys. There is one object a family: compare with `is` or `==`, both mean the same record.

    Lengths in millimetres, angles in degrees; None where no source gives the number. `sources` names those of each
    field; a source that opens with "assumption" is none.

    `depths_mm`: depth number -> blade height left under the cut, shallowest first. `in_lock_depths`: those that locks
    use, where a key may have more. `cut_counts`: how many cuts a key of the family may have; `cuts` is the usual number.
    `first_cut_mm`: from the shoulder or the tip (`gauge`) to the first cut's centre. `macs`: most steps between two
    neighbours. `blade_length_mm`: shoulder to tip. `market_share`: of house keys in North America, 0 to 1.
    `years_on_market`: from its introduction to the year of the record.
    """

    name: str
    brand: str
    manufacturer: str
    aliases: tuple[str, ...]
    supported: bool
    cut_counts: tuple[int, ...]
    order: Literal["bow_to_tip", "tip_to_bow"]
    gauge: Literal["shoulder", "tip"]
    first_cut_mm: float
    spacing_mm: float
    increment_mm: float
    depths_mm: Mapping[int, float]
    in_lock_depths: tuple[int, ...]
    macs: int | None
    cut_angle_deg: float | None
    cut_flat_mm: float | None
    blade_height_mm: float | None
    blade_thickness_mm: float | None
    blade_length_mm: float | None
    tolerances: str | None
    progression: str | None
    material: str
    year_introduced: int
    years_on_market: int
    market_share: float
    blank: Literal["free", "restricted"]
    bump_exposure: Literal["high", "moderate", "low"]
    factory_codes: tuple[str, ...]
    note: str | None
    sources: Mapping[str, tuple[str, ...]]
    conflicts: tuple[Conflict, ...]

    def __repr__(self) -> str:
        return f"Keyway({self.name})"

    def __reduce__(self) -> tuple[Callable[[str], Keyway], tuple[str]]:
        """Copies and other processes get the one record, by name."""
        return keyway, (self.name,)

    @property
    def cuts(self) -> int:
        """The usual number of cuts."""
        return self.cut_counts[0]

    @property
    def pin_count(self) -> int:
        """Pin stacks in the usual lock: one a cut."""
        return self.cuts

    @property
    def security_rating(self) -> str:
        """A few words on how the family stands, without regard to the code."""
        blank = "freely copied" if self.blank == "free" else "restricted"
        level = "basic" if self.blank == "free" and self.bump_exposure == "high" else "standard"
        return f"{level}: {blank} blank, {self.bump_exposure} exposure to bumping"

    def source_of(self, field: str) -> str:
        """Where a field's value comes from, in one line, parted by "; "; raises KeyError for a field without a record of it."""
        return "; ".join(self.sources[field])

    def assumed(self, field: str) -> bool:
        """Whether anything about a field's value is assumed."""
        return any(source.startswith(ASSUMPTION) for source in self.sources[field])


@cache
def keyways() -> Mapping[str, Keyway]:
    """Every record by its name, in the order of the data file; read once."""
    data = tomllib.loads(Path(__file__).with_name("keyways.toml").read_text(encoding="utf-8"))
    records = [_keyway(record, data["sources"], data["as_of"]) for record in data["keyways"]]
    return MappingProxyType({record.name: record for record in records})


def keyway(name: str) -> Keyway:
    """The record called `name`: its name or an alias, with or without the brand before it, in any case. Raises UnknownKeyway."""
    found = _index().get(_plain(name))
    if found is None:
        raise UnknownKeyway(name)
    return found


@cache
def _index() -> Mapping[str, Keyway]:
    return {_plain(name): record for record in keyways().values() for name in _names(record)}


def _names(record: Keyway) -> tuple[str, ...]:
    return (record.name, f"{record.brand} {record.name}", *record.aliases)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _keyway(record: Mapping[str, Any], names: Mapping[str, str], as_of: int) -> Keyway:
    heights = sorted(record["depths_in"].items(), key=lambda depth: -float(depth[1]))
    depths = {int(number): inch * MM_PER_INCH for number, inch in heights}
    return Keyway(
        name=record["name"],
        brand=record["brand"],
        manufacturer=record["manufacturer"],
        aliases=tuple(record["aliases"]),
        supported=record.get("supported", False),
        cut_counts=tuple(record["cut_counts"]),
        order=record["order"],
        gauge=record["gauge"],
        first_cut_mm=record["first_cut_in"] * MM_PER_INCH,
        spacing_mm=record["spacing_in"] * MM_PER_INCH,
        increment_mm=record["increment_in"] * MM_PER_INCH,
        depths_mm=MappingProxyType(depths),
        in_lock_depths=tuple(record.get("in_lock_depths", depths)),
        macs=record.get("macs"),
        cut_angle_deg=record.get("cut_angle_deg"),
        cut_flat_mm=_mm(record.get("cut_flat_in")),
        blade_height_mm=_mm(record.get("blade_height_in")),
        blade_thickness_mm=_mm(record.get("blade_thickness_in")),
        blade_length_mm=record.get("blade_length_mm"),
        tolerances=record.get("tolerances"),
        progression=record.get("progression"),
        material=record["material"],
        year_introduced=record["year_introduced"],
        years_on_market=as_of - record["year_introduced"],
        market_share=record["market_share"],
        blank=record["blank"],
        bump_exposure=record["bump_exposure"],
        factory_codes=tuple(record.get("factory_codes", ())),
        note=record.get("note"),
        sources=MappingProxyType(
            {field: _spelt(given, names) for field, given in record["sources"].items()}
        ),
        conflicts=tuple(_conflict(conflict, names) for conflict in record.get("conflicts", ())),
    )


def _mm(inch: float | None) -> float | None:
    return None if inch is None else inch * MM_PER_INCH


def _conflict(record: Mapping[str, Any], names: Mapping[str, str]) -> Conflict:
    values = {value: _spelt(given, names) for value, given in record["values"].items()}
    return Conflict(record["field"], MappingProxyType(values), record["used"])


def _spelt(sources: list[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """The sources with their short names written out."""
    short = re.compile(r"\b(" + "|".join(names) + r")\b")
    return tuple(
        names.get(source) or short.sub(lambda found: f"[{names[found[1]]}]", source)
        for source in sources
    )
