"""Fine-tuning: what it refuses to be taught, what it teaches and on what it is measured, that it goes on, and that the outcome reads."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from readers.caliper.reader import CaliperReader
from readers.contract import Reading, Reason, Unreadable
from readers.evaluation import Shot
from readers.gemma.folder import inspect
from readers.gemma.manifest import Prompt, gemma_manifest
from readers.gemma.picture import Framer
from readers.gemma.slots import end_of_turn, lay_out, reply_ids
from tests.gemma_models import ROOT, GemmaModels, draw, environment, run
from training.finetune_gemma import main
from training.gemma_batches import UNTAUGHT, Collator, Lesson, frame
from training.gemma_data import REPLIES, DataError, part, read_shots, reply_for
from utils.image_processing import open_photo

FINDER = ROOT / "models" / "caliper"
PICTURE = ROOT / "samples"


def own(folder: Path, *rows: object) -> Path:
    """A JSONL file of one's own photos, beside a photo called key.jpg."""
    (folder / "key.jpg").write_bytes(next(PICTURE.glob("*.jpg")).read_bytes())
    file = folder / "own.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def row(**other: object) -> dict[str, object]:
    """A good line, but for `other`."""
    return {"image_path": "key.jpg", "bittings": [2, 5, 4, 7, 3], "keyway": "SC1", "brand": "Schlage", **other}


def test_own_photos_have_their_code_as_a_list_as_text_or_not_at_all(tmp_path: Path) -> None:
    file = own(tmp_path, row(), row(bittings="2-5-4-7-3", keyway="Schlage SC1"), "", row(bittings=None, keyway=None))
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
        (row(bittings=[2, 5, 0, 9, 3]), "line 2 of own.jsonl: cuts 3 and 4 differ by more than 7 steps (MACS)"),
        (row(keyway="KW1", bittings=[2, 5, 0, 4, 3]), "line 2 of own.jsonl: cut 3 has a depth that KW1 does not have (1 to 7)"),
        (row(bittings=["2", "5"]), "line 2 of own.jsonl: a bitting is written as depth numbers"),
        (row(bittings="two"), "line 2 of own.jsonl: a bitting is written as depth numbers"),
        ({"image_path": "key.jpg", "keyway": "SC1"}, "line 2 of own.jsonl is no JSON object with image_path"),
        ('["key.jpg"]', "line 2 of own.jsonl is no JSON object with image_path"),
        ("{", "line 2 of own.jsonl is no JSON object with image_path"),
    ],
)
def test_bad_data_is_one_clear_line(wrong: object, told: str, tmp_path: Path) -> None:
    line = refused(own(tmp_path, row(), wrong), tmp_path)
    assert line.startswith(f"finetune_gemma: {told}")


def refused(data: Path, folder: Path, *options: str) -> str:
    """What the command ends with, which is one line."""
    with pytest.raises(SystemExit) as stopped:
        main([str(data), str(folder / "out"), "--base", str(folder / "no-base"), *options])
    line = str(stopped.value.code)
    assert "\n" not in line
    return line


def test_a_folder_without_labels_or_codes_and_a_base_that_is_not_there_are_told(tmp_path: Path) -> None:
    assert "holds no labels.jsonl" in refused(tmp_path, tmp_path)
    assert "there is no" in refused(tmp_path / "gone", tmp_path)
    assert "no photo of a key" in refused(own(tmp_path, row(bittings=None)), tmp_path)
    assert "lists no photos" in refused(own(tmp_path), tmp_path)
    assert "there is no folder no-base" in refused(own(tmp_path, row()), tmp_path)
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "labels.jsonl").write_text('{"file": "a.jpg", "keyway": "SC1", "tier": "easy"}')
    assert "line 1 of labels.jsonl" in refused(drawn, tmp_path)
    (drawn / "labels.jsonl").write_text('{"file": "a.jpg", "keyway": "SC1", "bitting": [1, 2, 3, 4, 5], "tier": "easy"}')
    assert "a.jpg: there is no photo a.jpg" in refused(drawn, tmp_path)


def shot(name: str, codes: tuple[int, ...] | None, keyway: str = "SC1") -> Shot:
    """A photo that need not be there."""
    return Shot(Path(name), keyway if codes else "none", codes, "easy")


MANY = [shot(f"{key}_{photo}.jpg", (key % 10, 3, 4, 5, key // 10)) for key in range(40) for photo in range(3)]
EMPTY = [shot(f"none_{photo}.jpg", None) for photo in range(10)]


def test_keys_are_held_out_with_all_their_photos_and_stay_where_they_are() -> None:
    taught, held = part([*MANY, *EMPTY], 0.2)
    keys = [{one.codes for one in side if one.codes} for side in (taught, held)]
    assert not keys[0] & keys[1]
    assert [len(each) for each in keys] == [32, 8]
    assert len(held) == 8 * 3 + 2
    assert sorted([*taught, *held], key=str) == sorted([*MANY, *EMPTY], key=str)
    again, _ = part([*reversed(EMPTY), *reversed(MANY)], 0.2)
    assert set(again) == set(taught)


def test_the_same_code_on_another_keyway_is_another_key() -> None:
    pairs = [shot(f"{way}_{one.path}", one.codes, way) for way in ("SC1", "KW1") for one in MANY]
    taught, held = part(pairs, 0.5)
    assert not {(one.keyway, one.codes) for one in taught} & {(one.keyway, one.codes) for one in held}
    assert {one.codes for one in taught} & {one.codes for one in held}


def test_none_held_out_and_none_left_to_teach() -> None:
    assert part(MANY, 0) == (MANY, [])
    with pytest.raises(DataError, match="no key would be left"):
        part(MANY, 0.99)


def test_the_replies_hold_keyway_and_code_and_never_a_confidence() -> None:
    assert reply_for(MANY[0], "short") == "KEYWAY: SC1\nBITTING: 0,3,4,5,0"
    assert reply_for(EMPTY[0], "short") == reply_for(EMPTY[0], "long") == "KEYWAY: NONE"
    lines = reply_for(MANY[0], "long").splitlines()
    assert lines[:3] == ["KEYWAY: SC1", "BITTING: 0,3,4,5,0", "BRAND: Schlage"]
    assert [line.partition(":")[0] for line in lines[3:]] == ["PRODUCTION", "COMPLEXITY"]


needs_gemma = pytest.mark.gemma


@pytest.fixture
def words(gemma_models: GemmaModels) -> Any:
    """The taught model's tokenizer and processor."""
    from readers.gemma.with_transformers import prepare, processor

    prepare()
    return processor(gemma_models.lora)


@pytest.fixture
def lessons(gemma_models: GemmaModels, tmp_path: Path) -> list[Lesson]:
    """All of the fixture's photos, with their short replies."""
    framer = Framer(manifest_of(gemma_models.lora).picture, CaliperReader.load(FINDER))
    squares = frame(gemma_models.shots, framer, 64, tmp_path / "squares")
    return [Lesson(square, reply_for(each, "short")) for square, each in zip(squares, gemma_models.shots, strict=True)]


def table_of(folder: Path) -> dict[str, Any]:
    """A folder's manifest as it is written."""
    return tomllib.loads((folder / "manifest.toml").read_text())


def manifest_of(folder: Path) -> Any:
    """A folder's manifest as it is read."""
    return gemma_manifest(table_of(folder))


@needs_gemma
def test_the_prompt_is_the_same_for_every_key_so_the_code_is_not_in_it(words: Any, lessons: list[Lesson]) -> None:
    batch, tokenizer = Collator(words, Prompt())(lessons), words.tokenizer
    rows = zip(batch["input_ids"], batch["labels"], strict=True)
    untaught = [ids[: int((labels != UNTAUGHT).nonzero()[0])] for ids, labels in rows]
    said = {tokenizer.decode(ids) for ids in untaught}
    assert len(said) == 1
    assert not set("0123456789") & set(said.pop())


@needs_gemma
def test_the_loss_is_on_the_reply_and_the_end_of_its_turn_alone(words: Any, lessons: list[Lesson]) -> None:
    batch, tokenizer = Collator(words, Prompt())(lessons), words.tokenizer
    for lesson, ids, labels, seen in zip(lessons, batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
        taught = labels != UNTAUGHT
        assert labels[taught].tolist() == ids[taught].tolist() == list(reply_ids(tokenizer, lesson.reply))
        assert labels[taught][-1] == end_of_turn(tokenizer)
        assert tokenizer.decode(labels[taught][:-1]) == lesson.reply
        # Nothing comes after it but what is not looked at.
        assert not seen[int(taught.nonzero()[-1]) + 1 :].any() and seen[: int(taught.nonzero()[-1]) + 1].all()
    assert len({int((seen == 1).sum()) for seen in batch["attention_mask"]}) > 1


@needs_gemma
def test_the_model_is_taught_on_the_squares_that_the_reader_shows_it(gemma_models: GemmaModels, lessons: list[Lesson]) -> None:
    from PIL import Image

    framer = Framer(manifest_of(gemma_models.lora).picture, CaliperReader.load(FINDER))
    for lesson, each in zip(lessons, gemma_models.shots, strict=True):
        read = framer.frame(open_photo(each.path.read_bytes()).pixels, 64).square
        assert np.array_equal(np.asarray(Image.open(lesson.square)), np.asarray(read))


@needs_gemma
@pytest.mark.parametrize("shape", list(REPLIES))
def test_what_is_taught_begins_with_what_the_slots_force(shape: str, gemma_models: GemmaModels, words: Any) -> None:
    layout = lay_out(gemma_manifest({**table_of(gemma_models.lora), "reply": REPLIES[shape]}), words.tokenizer)
    ways = {option.keyway.name if option.keyway else "none": option for option in layout.options}
    for each in gemma_models.shots:
        taught, option = reply_ids(words.tokenizer, reply_for(each, shape)), ways[each.keyway]
        opening = layout.common + option.head
        assert taught[: len(opening)] == opening
        if each.codes:
            after = len(opening) + 2 * len(each.codes) - 1
            assert taught[after] == option.stop
            assert tuple(option.digits[i][taught[len(opening) + 2 * i]] for i in range(len(each.codes))) == each.codes


@needs_gemma
@pytest.mark.parametrize("form", ["lora", "merged", "nf4"])
def test_what_was_taught_is_read(form: str, gemma_models: GemmaModels) -> None:
    from readers.gemma.reader import GemmaReader

    checkpoint = inspect(getattr(gemma_models, form), base_model=gemma_models.base, models=None)
    finder = CaliperReader.load(FINDER)
    reader = GemmaReader.load(checkpoint, backend="transformers", precision="auto", max_batch=4, finder=finder)
    for each, result in zip(gemma_models.shots, reader.read([open_photo(s.path.read_bytes()) for s in gemma_models.shots]), strict=True):
        if each.codes is None:
            assert isinstance(result, Unreadable) and result.reason is Reason.NOT_A_KEY
        else:
            assert isinstance(result, Reading) and (result.keyway, result.codes) == (each.keyway, each.codes)
            assert result.confidence > 0.9


@needs_gemma
def test_the_adapter_changes_language_layers_alone_and_names_no_path(gemma_models: GemmaModels) -> None:
    from readers.gemma.weights import adapter_file, tensors

    assert all(".language_model.layers." in name for name in tensors(adapter_file(gemma_models.lora)))
    config = (gemma_models.lora / "adapter_config.json").read_text()
    assert json.loads(config)["base_model_name_or_path"] == manifest_of(gemma_models.lora).base == gemma_models.base.name
    for folder in (gemma_models.lora, gemma_models.merged):
        assert {path.name for path in folder.iterdir()} == {*table_of(folder)["files"], "manifest.toml"}
        told = [path.read_text() for path in folder.iterdir() if path.suffix != ".safetensors"]
        assert not any(str(gemma_models.base.parent) in text for text in told)


@needs_gemma
def test_without_held_out_keys_nothing_is_claimed(gemma_models: GemmaModels) -> None:
    assert table_of(gemma_models.lora)["measured"] == table_of(gemma_models.merged)["measured"] == {"held_out": 0}


STEPS = 12
SHORT = ("--steps", str(STEPS), "--batch", "4", "--lr", "1e-3", "--held-out", "0.2", "--save-every", "2")


@dataclass(frozen=True, slots=True)
class Course:
    """One short training: its photos, what it wrote, and the command's last line."""

    photos: Path
    out: Path
    told: dict[str, Any]


@pytest.fixture(scope="module")
def course(gemma_models: GemmaModels, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Twelve steps without a break, on twelve photos with some keys held out."""
    folder = tmp_path_factory.mktemp("course")
    draw(folder / "photos", 12)
    printed = run("training.finetune_gemma", folder / "photos", folder / "out", "--base", gemma_models.base, *SHORT)
    return Course(folder / "photos", folder / "out", json.loads(printed.splitlines()[-1]))


@needs_gemma
def test_the_last_line_tells_what_the_manifests_tell_of_the_keys_held_out(course: Course) -> None:
    _, held = part(read_shots(course.photos), 0.2)
    measured = course.told["measured"]
    assert measured == table_of(course.out / "lora")["measured"] == table_of(course.out / "merged")["measured"]
    assert measured["held_out"] == measured["photos"] == sum(1 for each in held if each.codes) == 2
    assert measured["without_code"] == 1
    # Twelve steps do not teach a network that knows nothing to measure a key that it never saw.
    assert measured["whole_code"] == 0.0 and 0 <= measured["cut"] <= 1
    assert (course.told["photos"], course.told["from_step"], course.told["steps"]) == (9, 0, STEPS)


# Dies without a word in the midst of writing its third checkpoint.
KILLED = """
import os, signal
from training.finetune_gemma import main
from training.gemma_lora import bring_in
bring_in("transformers")
from transformers import Trainer
write = Trainer._save_rng_state
def die(self, folder):
    write(self, folder) if self.state.global_step < 6 else os.kill(os.getpid(), signal.SIGKILL)
Trainer._save_rng_state = die
main()
"""


@needs_gemma
def test_a_training_that_was_killed_goes_on_at_its_last_whole_checkpoint_to_the_same_end(
    course: Course, gemma_models: GemmaModels, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [str(course.photos), str(out), "--base", str(gemma_models.base), *SHORT]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, env=environment(), capture_output=True)
    assert done.returncode == -signal.SIGKILL and not (out / "lora").exists()
    assert (out / "checkpoints" / "checkpoint-6").exists()
    told = json.loads(run("training.finetune_gemma", *arguments).splitlines()[-1])
    assert (told["from_step"], told["steps"]) == (4, STEPS)
    assert told["measured"] == course.told["measured"]
    for file in ("lora/adapter_model.safetensors", "merged/model.safetensors"):
        assert (out / file).read_bytes() == (course.out / file).read_bytes()


@needs_gemma
@pytest.mark.parametrize(("option", "value", "told"), [("--rank", "4", "rank"), ("--lr", "2e-3", "lr"), ("--reply", "long", "photos")])
def test_another_training_does_not_go_on_from_this_one(
    option: str, value: str, told: str, course: Course, gemma_models: GemmaModels
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(course.photos), str(course.out), "--base", str(gemma_models.base), *SHORT, option, value])
    assert str(stopped.value.code).startswith(f"finetune_gemma: out holds a training with another {told}: ")


@needs_gemma
def test_an_adapter_and_weights_in_4_bits_are_no_base(course: Course, gemma_models: GemmaModels, tmp_path: Path) -> None:
    beside = tmp_path / "both"
    shutil.copytree(gemma_models.lora, beside / "lora")
    shutil.copytree(gemma_models.base, beside / gemma_models.base.name)
    for base, told in ((beside / "lora", "lora is an adapter itself"), (gemma_models.nf4, "nf4 is stored in 4 bits")):
        with pytest.raises(SystemExit) as stopped:
            main([str(course.photos), str(tmp_path / "out"), "--base", str(base), "--steps", "1"])
        assert str(stopped.value.code).startswith(f"finetune_gemma: {told}")


@needs_gemma
def test_names_that_no_manifest_takes_and_broken_photos_are_told_before_any_training(gemma_models: GemmaModels, tmp_path: Path) -> None:
    file = own(tmp_path, row(), row(image_path="broken.jpg", bittings=[1, 2, 3, 4, 5]))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    for options, told in (
        (["--version", "no version"], "manifest.toml: version"),
        (["--held-out", "0.5"], "broken.jpg: This is not a picture"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([str(file), str(tmp_path / "out"), "--base", str(gemma_models.base), *options])
        assert str(stopped.value.code).startswith(f"finetune_gemma: {told}")
    assert not (tmp_path / "out" / "checkpoints").exists()
