"""Tests of reading and splitting training data, and of the replies that the model learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keylike.readers.evaluation import Shot
from tests.gemma_models import ROOT
from tools.training.finetune_gemma import main
from tools.training.gemma_data import DataError, read_shots, reply_for, split_by_key

PICTURE = ROOT / "samples" / "sc1_01.jpg"


def write_jsonl(folder: Path, *rows: object) -> Path:
    """Write these rows into a JSONL file, next to a photo key.jpg."""
    (folder / "key.jpg").write_bytes(PICTURE.read_bytes())
    file = folder / "own.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def row(**other: object) -> dict[str, object]:
    """Return a valid row, with some fields changed."""
    return {
        "image_path": "key.jpg",
        "bittings": [2, 5, 4, 7, 3],
        "keyway": "SC1",
        "brand": "Schlage",
        **other,
    }


def test_training_data_may_have_codes_as_list_or_text_or_none(tmp_path: Path) -> None:
    file = write_jsonl(
        tmp_path,
        row(),
        row(bittings="2-5-4-7-3", keyway="Schlage SC1"),
        "",
        row(bittings=None, keyway=None),
    )
    message = [(shot.keyway, shot.codes) for shot in read_shots(file)]
    assert message == [("SC1", (2, 5, 4, 7, 3)), ("SC1", (2, 5, 4, 7, 3)), ("none", None)]
    assert all(shot.path == tmp_path / "key.jpg" for shot in read_shots(file))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (row(image_path="gone.jpg"), "line 2 of own.jsonl: photo gone.jpg does not exist"),
        (row(keyway="XY9"), "line 2 of own.jsonl: there is no keyway 'XY9'; known keyways are SC1"),
        (row(bittings=[2, 5, 4]), "line 2 of own.jsonl: a SC1 key has 5 cuts, not 3"),
        (row(bittings="254732"), "line 2 of own.jsonl: a SC1 key has 5 cuts, not 6"),
        (
            row(bittings=[2, 5, 0, 9, 3]),
            "line 2 of own.jsonl: cuts 3 and 4 differ by more than 7 steps (MACS)",
        ),
        (
            row(keyway="KW1", bittings=[2, 5, 0, 4, 3]),
            "line 2 of own.jsonl: cut 3 has a depth that KW1 does not have (1 to 7)",
        ),
        (row(bittings=["2", "5"]), "line 2 of own.jsonl: a SC1 key has 5 cuts, not 2"),
        (row(bittings="two"), "line 2 of own.jsonl: a bitting is a list of depth numbers"),
        (
            {"image_path": "key.jpg", "keyway": "SC1"},
            "line 2 of own.jsonl is not a JSON object with image_path",
        ),
        ('["key.jpg"]', "line 2 of own.jsonl is not a JSON object with image_path"),
        ("{", "line 2 of own.jsonl is not a JSON object with image_path"),
    ],
)
def test_invalid_line_of_training_data_is_reported_in_one_line(
    line: object, message: str, tmp_path: Path
) -> None:
    output = error_of(write_jsonl(tmp_path, row(), line), tmp_path)
    assert output.startswith(f"finetune_gemma: {message}")


def error_of(data: Path, folder: Path, *options: str) -> str:
    """Return the error message of the command after checking that it is one line."""
    with pytest.raises(SystemExit) as stopped:
        main([str(data), str(folder / "out"), "--base", str(folder / "no-base"), *options])
    output = str(stopped.value.code)
    assert "\n" not in output
    return output


def test_missing_labels_codes_or_base_model_are_reported(
    tmp_path: Path,
) -> None:
    assert "has no labels.jsonl" in error_of(tmp_path, tmp_path)
    assert "does not exist" in error_of(tmp_path / "gone", tmp_path)
    assert "no photo of a key" in error_of(write_jsonl(tmp_path, row(bittings=None)), tmp_path)
    assert "lists no photos" in error_of(write_jsonl(tmp_path), tmp_path)
    assert "no-base does not exist" in error_of(write_jsonl(tmp_path, row()), tmp_path)
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "labels.jsonl").write_text('{"file": "a.jpg", "keyway": "SC1", "tier": "easy"}')
    assert "line 1 of labels.jsonl" in error_of(drawn, tmp_path)
    (drawn / "labels.jsonl").write_text(
        '{"file": "a.jpg", "keyway": "SC1", "bitting": [1, 2, 3, 4, 5], "tier": "easy"}'
    )
    assert "a.jpg: photo a.jpg does not exist" in error_of(drawn, tmp_path)


def shot(name: str, codes: tuple[int, ...] | None, keyway: str = "SC1") -> Shot:
    """Return a labelled photo, whose file does not exist."""
    return Shot(Path(name), keyway if codes else "none", codes, "easy")


MANY = [
    shot(f"{key}_{photo}.jpg", (key % 10, 3, 4, 5, key // 10))
    for key in range(40)
    for photo in range(3)
]
EMPTY = [shot(f"none_{photo}.jpg", None) for photo in range(10)]


def test_photos_of_one_key_are_not_split_between_training_and_test() -> None:
    train_shots, held_out = split_by_key([*MANY, *EMPTY], 0.2)
    keys = [{item.codes for item in side if item.codes} for side in (train_shots, held_out)]
    assert not keys[0] & keys[1]
    assert [len(group) for group in keys] == [32, 8]
    assert len(held_out) == 8 * 3 + 2
    assert sorted([*train_shots, *held_out], key=str) == sorted([*MANY, *EMPTY], key=str)
    again, _ = split_by_key([*reversed(EMPTY), *reversed(MANY)], 0.2)
    assert set(again) == set(train_shots)


def test_same_code_of_another_keyway_is_another_key_in_the_split() -> None:
    pairs = [
        shot(f"{keyway}_{item.path}", item.codes, keyway)
        for keyway in ("SC1", "KW1")
        for item in MANY
    ]
    train_shots, held_out = split_by_key(pairs, 0.5)
    assert not {(item.keyway, item.codes) for item in train_shots} & {
        (item.keyway, item.codes) for item in held_out
    }
    assert {item.codes for item in train_shots} & {item.codes for item in held_out}


def test_split_can_hold_out_nothing_but_not_all_keys() -> None:
    assert split_by_key(MANY, 0) == (MANY, [])
    with pytest.raises(DataError, match="no key would be left"):
        split_by_key(MANY, 0.99)


def test_reply_to_learn_has_keyway_and_code_but_no_confidence() -> None:
    assert reply_for(MANY[0], "short") == "KEYWAY: SC1\nBITTING: 0,3,4,5,0"
    assert reply_for(EMPTY[0], "short") == reply_for(EMPTY[0], "long") == "KEYWAY: NONE"
    lines = reply_for(MANY[0], "long").splitlines()
    assert lines[:3] == ["KEYWAY: SC1", "BITTING: 0,3,4,5,0", "BRAND: Schlage"]
    assert [output.partition(":")[0] for output in lines[3:]] == ["PRODUCTION", "COMPLEXITY"]


def test_training_data_may_have_a_byte_order_mark_and_numbers_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a photo")
    row = '{"image_path": "a.jpg", "bittings": ["2", "5", "4", "7", "3"], "keyway": "SC1"}'
    (tmp_path / "own.jsonl").write_bytes(b"\xef\xbb\xbf" + row.encode())
    assert read_shots(tmp_path / "own.jsonl")[0].codes == (2, 5, 4, 7, 3)


def test_line_of_training_data_without_a_keyway_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"image_path": "a.jpg", "bittings": [2, 5, 4, 7, 3]}')
    with pytest.raises(DataError, match=r"line 1 of own\.jsonl has no keyway"):
        read_shots(tmp_path / "own.jsonl")
