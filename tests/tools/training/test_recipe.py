"""Tests of the commands that `make train` runs."""

from __future__ import annotations

from pathlib import Path

from tools.training.__main__ import FURTHER, STEPS, drawings, taking_up, trainings


def test_photos_that_exist_are_not_drawn_again(tmp_path: Path) -> None:
    commands = drawings(tmp_path)
    assert any(command[0] == "tools.training.render" for command in commands)
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "labels.jsonl").touch()
    assert all(command[0] == "tools.training.dataset" for command in drawings(tmp_path))


def test_missing_checkpoints_are_imported_from_the_model(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "finder.pt").touch()  # its training has begun already
    taken = taking_up(tmp_path, Path("models/caliper"))
    assert {command[-1] for command in taken} == set(STEPS) - {"finder"}
    assert all(
        command[:2] == ["tools.training.import_weights", "models/caliper"] for command in taken
    )


def test_further_training_has_its_own_steps_and_rates(tmp_path: Path) -> None:
    anew, further = trainings(tmp_path, further=False), trainings(tmp_path, further=True)
    steps = {command[1]: int(command[command.index("--steps") + 1]) for command in further}
    assert steps == {name: each for name, (each, _) in FURTHER.items()}
    assert not any("--rate" in command for command in anew)
    assert all("--rate" in command for command in further)
