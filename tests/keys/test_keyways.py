"""Tests of the keyway records: complete and consistent, with sources, found by every name."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import pytest

from keylike.keys.keyways import Keyway, UnknownKeyway, keyway, keyways

SOURCED = (
    *(
        "first_cut_mm",
        "spacing_mm",
        "depths_mm",
        "macs",
        "cut_angle_deg",
        "cut_flat_mm",
        "blade_height_mm",
        "blade_thickness_mm",
    ),
    *(
        "blade_length_mm",
        "order",
        "tolerances",
        "progression",
        "material",
        "year_introduced",
        "market_share",
        "blank",
        "bump_exposure",
    ),
)


def every() -> list[Keyway]:
    return list(keyways().values())


def test_keyways_has_seventeen_families_of_which_three_are_supported() -> None:
    assert len(keyways()) == 17
    assert [record.name for record in every() if record.supported] == ["SC1", "SC4", "KW1"]


@pytest.mark.parametrize(
    ("name", "first", "spacing", "shallowest", "deepest", "macs", "cuts"),
    [
        ("SC1", 5.867, 3.967, 8.509, 5.080, 7, 5),
        ("SC4", 5.867, 3.967, 8.509, 5.080, 7, 6),
        ("KW1", 6.274, 3.810, 8.357, 4.851, 4, 5),
    ],
)
def test_dimensions_of_keyways_match_the_makers_figures(
    name: str, first: float, spacing: float, shallowest: float, deepest: float, macs: int, cuts: int
) -> None:
    record = keyway(name)
    heights = list(record.depths_mm.values())
    assert (record.first_cut_mm, record.spacing_mm) == pytest.approx((first, spacing), abs=5e-4)
    assert (heights[0], heights[-1]) == pytest.approx((shallowest, deepest), abs=5e-4)
    assert (record.macs, record.cuts, record.pin_count) == (macs, cuts, cuts)


@pytest.mark.parametrize("record", every(), ids=repr)
def test_heights_of_neighbouring_depths_differ_by_the_increment(record: Keyway) -> None:
    heights = list(record.depths_mm.values())
    # The heights in the makers' tables are rounded to a thousandth of an inch.
    assert [above - below for above, below in pairwise(heights)] == pytest.approx(
        [record.increment_mm] * (len(heights) - 1), abs=0.0011 * 25.4
    )
    assert record.blade_height_mm is None or record.blade_height_mm >= heights[0]
    assert set(record.in_lock_depths) <= set(record.depths_mm)


@pytest.mark.parametrize("record", every(), ids=repr)
def test_every_number_of_a_keyway_has_a_full_source(record: Keyway) -> None:
    for field in SOURCED:
        if getattr(record, field) is not None:
            assert record.source_of(field), field
    if record.factory_codes:
        assert record.source_of("factory_codes")
    fields = {*record.sources, *(conflict.field for conflict in record.conflicts)}
    assert all(hasattr(record, field) for field in fields)
    assert not any(
        short in source.split()
        for sources in record.sources.values()
        for source in sources
        for short in ("KG", "KC", "LAUX")
    )


def test_assumed_distinguishes_assumptions_from_sources() -> None:
    assert keyway("KW1").assumed("market_share")
    assert not keyway("KW1").assumed("depths_mm")


def test_depth_zero_is_the_deepest_cut_for_some_makers() -> None:
    assert list(keyway("S22").depths_mm) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert min(keyway("CO88").depths_mm, key=lambda depth: keyway("CO88").depths_mm[depth]) == 0


def test_kwikset_locks_use_six_of_seven_depths() -> None:
    assert keyway("KW1").in_lock_depths == (1, 2, 3, 4, 5, 6)
    assert list(keyway("KW1").depths_mm) == [1, 2, 3, 4, 5, 6, 7]


def test_best_keys_are_measured_from_the_tip() -> None:
    assert (keyway("A2").order, keyway("A2").gauge) == ("tip_to_bow", "tip")


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("SC1", "SC1"),
        ("sc1", "SC1"),
        ("Ilco-SC1", "SC1"),
        ("Schlage SC4", "SC4"),
        ("Kwikset KW1", "KW1"),
        ("KW11", "KW10"),
        ("y2", "Y1"),
    ],
)
def test_keyway_is_found_by_name_and_alias(alias: str, name: str) -> None:
    assert keyway(alias) is keyways()[name]


def test_each_name_and_alias_belongs_to_one_keyway() -> None:
    for record in every():
        for name in (record.name, *record.aliases):
            assert keyway(name) is record


@pytest.mark.parametrize("name", ["", "SC", "XX9", "SC1 KW1"])
def test_unknown_keyway_raises_an_error_with_its_name(name: str) -> None:
    with pytest.raises(UnknownKeyway) as refused:
        keyway(name)
    assert refused.value.name == name
    assert "KW1" in str(refused.value)


def test_copies_of_a_keyway_are_the_same_object() -> None:
    record = keyway("SC1")
    assert copy.deepcopy(record) is record
    assert pickle.loads(pickle.dumps(record)) is record


def test_market_shares_sum_to_at_most_one() -> None:
    assert all(0 < record.market_share < 1 for record in every())
    assert sum(record.market_share for record in every()) <= 1


def test_security_rating_describes_blank_and_bumping() -> None:
    assert keyway("SC1").security_rating == "basic: freely copied blank, high exposure to bumping"
    assert keyway("A2").security_rating.startswith("standard")
