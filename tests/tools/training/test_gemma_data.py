"""What fine-tuning refuses to be taught, which keys it holds out, and what the model is to say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keylike.readers.evaluation import Shot
from tests.gemma_models import ROOT
from tools.training.finetune_gemma import main
from tools.training.gemma_data import DataError, part, read_shots, reply_for

PICTURE = ROOT / "samples" / "sc1_01.jpg"


def own(folder: Path, *rows: object) -> Path:
    """A JSONL file of one's own photos, beside a photo called key.jpg."""
    (folder / "key.jpg").write_bytes(PICTURE.read_bytes())
    file = folder / "own.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def row(**other: object) -> dict[str, object]:
    """A good line, but for `other`."""
    return {
        "image_path": "key.jpg",
        "bittings": [2, 5, 4, 7, 3],
        "keyway": "SC1",
        "brand": "Schlage",
        **other,
    }


def test_read_shots_takes_codes_as_list_text_or_none(tmp_path: Path) -> None:
    file = own(
        tmp_path,
        row(),
        row(bittings="2-5-4-7-3", keyway="Schlage SC1"),
        "",
        row(bittings=None, keyway=None),
    )
    told = [(shot.keyway, shot.codes) for shot in read_shots(file)]
    assert told == [("SC1", (2, 5, 4, 7, 3)), ("SC1", (2, 5, 4, 7, 3)), ("none", None)]
    assert all(shot.path == tmp_path / "key.jpg" for shot in read_shots(file))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (row(image_path="gone.jpg"), "line 2 of own.jsonl: there is no photo gone.jpg"),
        (row(keyway="XY9"), "line 2 of own.jsonl: no keyway is called 'XY9'; known are SC1"),
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
        (row(bittings="two"), "line 2 of own.jsonl: a bitting is written as depth numbers"),
        (
            {"image_path": "key.jpg", "keyway": "SC1"},
            "line 2 of own.jsonl is no JSON object with image_path",
        ),
        ('["key.jpg"]', "line 2 of own.jsonl is no JSON object with image_path"),
        ("{", "line 2 of own.jsonl is no JSON object with image_path"),
    ],
)
def test_read_shots_bad_data_raises_one_line(wrong: object, told: str, tmp_path: Path) -> None:
    line = refused(own(tmp_path, row(), wrong), tmp_path)
    assert line.startswith(f"finetune_gemma: {told}")


def refused(data: Path, folder: Path, *options: str) -> str:
    """What the command ends with, which is one line."""
    with pytest.raises(SystemExit) as stopped:
        main([str(data), str(folder / "out"), "--base", str(folder / "no-base"), *options])
    line = str(stopped.value.code)
    assert "\n" not in line
    return line


def test_command_missing_labels_codes_or_base_fails_clearly(
    tmp_path: Path,
) -> None:
    assert "holds no labels.jsonl" in refused(tmp_path, tmp_path)
    assert "there is no" in refused(tmp_path / "gone", tmp_path)
    assert "no photo of a key" in refused(own(tmp_path, row(bittings=None)), tmp_path)
    assert "lists no photos" in refused(own(tmp_path), tmp_path)
    assert "no-base is not there" in refused(own(tmp_path, row()), tmp_path)
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "labels.jsonl").write_text('{"file": "a.jpg", "keyway": "SC1", "tier": "easy"}')
    assert "line 1 of labels.jsonl" in refused(drawn, tmp_path)
    (drawn / "labels.jsonl").write_text(
        '{"file": "a.jpg", "keyway": "SC1", "bitting": [1, 2, 3, 4, 5], "tier": "easy"}'
    )
    assert "a.jpg: there is no photo a.jpg" in refused(drawn, tmp_path)


def shot(name: str, codes: tuple[int, ...] | None, keyway: str = "SC1") -> Shot:
    """A photo that need not be there."""
    return Shot(Path(name), keyway if codes else "none", codes, "easy")


MANY = [
    shot(f"{key}_{photo}.jpg", (key % 10, 3, 4, 5, key // 10))
    for key in range(40)
    for photo in range(3)
]
EMPTY = [shot(f"none_{photo}.jpg", None) for photo in range(10)]


def test_part_splits_by_key_and_stays_stable() -> None:
    taught, held = part([*MANY, *EMPTY], 0.2)
    keys = [{one.codes for one in side if one.codes} for side in (taught, held)]
    assert not keys[0] & keys[1]
    assert [len(each) for each in keys] == [32, 8]
    assert len(held) == 8 * 3 + 2
    assert sorted([*taught, *held], key=str) == sorted([*MANY, *EMPTY], key=str)
    again, _ = part([*reversed(EMPTY), *reversed(MANY)], 0.2)
    assert set(again) == set(taught)


def test_part_same_code_on_another_keyway_is_another_key() -> None:
    pairs = [shot(f"{way}_{one.path}", one.codes, way) for way in ("SC1", "KW1") for one in MANY]
    taught, held = part(pairs, 0.5)
    assert not {(one.keyway, one.codes) for one in taught} & {
        (one.keyway, one.codes) for one in held
    }
    assert {one.codes for one in taught} & {one.codes for one in held}


def test_part_extreme_shares_are_handled() -> None:
    assert part(MANY, 0) == (MANY, [])
    with pytest.raises(DataError, match="no key would be left"):
        part(MANY, 0.99)


def test_reply_has_keyway_and_code_but_no_confidence() -> None:
    assert reply_for(MANY[0], "short") == "KEYWAY: SC1\nBITTING: 0,3,4,5,0"
    assert reply_for(EMPTY[0], "short") == reply_for(EMPTY[0], "long") == "KEYWAY: NONE"
    lines = reply_for(MANY[0], "long").splitlines()
    assert lines[:3] == ["KEYWAY: SC1", "BITTING: 0,3,4,5,0", "BRAND: Schlage"]
    assert [line.partition(":")[0] for line in lines[3:]] == ["PRODUCTION", "COMPLEXITY"]


def test_read_shots_takes_bom_and_numbers_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a photo")
    row = '{"image_path": "a.jpg", "bittings": ["2", "5", "4", "7", "3"], "keyway": "SC1"}'
    (tmp_path / "own.jsonl").write_bytes(b"\xef\xbb\xbf" + row.encode())
    assert read_shots(tmp_path / "own.jsonl")[0].codes == (2, 5, 4, 7, 3)


def test_read_shots_line_without_keyway_raises(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"image_path": "a.jpg", "bittings": [2, 5, 4, 7, 3]}')
    with pytest.raises(DataError, match=r"line 1 of own\.jsonl does not name its keyway"):
        read_shots(tmp_path / "own.jsonl")
