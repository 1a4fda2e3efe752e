"""The data of all key families: depths, positions and limits, each value with its source."""

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
# First word of an entry in `Keyway.sources` that is an assumption.
ASSUMPTION = "assumption"


class UnknownKeyway(LookupError):
    """An error for a `name` that is not the name of a known keyway."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no keyway {name!r}; known keyways are {', '.join(keyways())}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field for which sources give different values.

    Attributes:
        field: name of the field.
        values: each value with its sources.
        used: the value that the record contains.
    """

    field: str
    values: Mapping[str, tuple[str, ...]]
    used: str


@dataclass(frozen=True, slots=True, eq=False)
class Keyway:
    """The data of one family of keys.

    There is one object per family, so `is` and `==` are equivalent. Lengths are in millimetres and
    angles in degrees. A value is None if no source states it.

    Attributes:
        supported: True if the embedded reader can read the family.
        cut_counts: possible numbers of cuts, the usual one first.
        order: direction in which the maker's codes are written.
        gauge: reference point of `first_cut_mm`, the shoulder or the tip.
        first_cut_mm: distance from the reference point to the centre of the first cut.
        spacing_mm: distance between the centres of neighbouring cuts.
        increment_mm: difference in height between neighbouring depths.
        depths_mm: for each depth number, the height of the blade that is left under the cut; the
            shallowest depth first.
        in_lock_depths: depth numbers that are used in locks; other depths exist on keys only.
        macs: maximum adjacent cut specification: the largest difference between neighbouring cuts,
            in depth steps.
        blade_length_mm: distance from the shoulder to the tip.
        years_on_market: years from its introduction to the year of the data file.
        market_share: share of house keys in North America, 0 to 1.
        blank: "free" if anyone can buy the uncut key.
        factory_codes: codes with which locks are sold.
        sources: sources of each field. An entry that starts with "assumption" is an assumption.
        conflicts: fields for which sources give different values.
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
        """Copy and pickle by name, so that there is only one object per family in a process."""
        return keyway, (self.name,)

    @property
    def cuts(self) -> int:
        """Return the usual number of cuts."""
        return self.cut_counts[0]

    @property
    def pin_count(self) -> int:
        """Return the number of pins of the usual lock, one per cut."""
        return self.cuts

    @property
    def security_rating(self) -> str:
        """Return the security of the family in a few words. It does not depend on the code."""
        blank = "freely copied" if self.blank == "free" else "restricted"
        level = "basic" if self.blank == "free" and self.bump_exposure == "high" else "standard"
        return f"{level}: {blank} blank, {self.bump_exposure} exposure to bumping"

    def source_of(self, field: str) -> str:
        """Return the sources of a field in one line, separated by "; ".

        Raises:
            KeyError: The field has no sources.
        """
        return "; ".join(self.sources[field])

    def assumed(self, field: str) -> bool:
        """Return True if any part of a field's value is an assumption."""
        return any(source.startswith(ASSUMPTION) for source in self.sources[field])


@cache
def keyways() -> Mapping[str, Keyway]:
    """Return all keyways by name, in the order of the data file. The file is read only once."""
    data = tomllib.loads(Path(__file__).with_name("keyways.toml").read_text(encoding="utf-8"))
    records = [_keyway(record, data["sources"], data["as_of"]) for record in data["keyways"]]
    return MappingProxyType({record.name: record for record in records})


def keyway(name: str) -> Keyway:
    """Return the keyway with this name.

    Aliases are accepted too. Upper and lower case, spaces and punctuation do not matter. The brand
    may precede the name.

    Raises:
        UnknownKeyway: There is no keyway with this name.
    """
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
            {field: _expand_names(entries, names) for field, entries in record["sources"].items()}
        ),
        conflicts=tuple(_conflict(conflict, names) for conflict in record.get("conflicts", ())),
    )


def _mm(inch: float | None) -> float | None:
    return None if inch is None else inch * MM_PER_INCH


def _conflict(record: Mapping[str, Any], names: Mapping[str, str]) -> Conflict:
    values = {value: _expand_names(entries, names) for value, entries in record["values"].items()}
    return Conflict(record["field"], MappingProxyType(values), record["used"])


def _expand_names(sources: list[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the entries, with the short names of sources replaced by their full names."""
    short = re.compile(r"\b(" + "|".join(names) + r")\b")
    return tuple(
        names.get(source) or short.sub(lambda found: f"[{names[found[1]]}]", source)
        for source in sources
    )
