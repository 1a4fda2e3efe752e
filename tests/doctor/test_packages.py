"""Pins are held against what is really installed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from keylike.doctor import packages
from keylike.doctor.finding import State

ROOT = Path(__file__).resolve().parents[2]
OK, NOTE, WARN, FAULT = State


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), FAULT), ((3, 11), OK), ((3, 13), OK), ((3, 14), WARN)]
)
def test_python(version: tuple[int, int], state: State) -> None:
    assert packages.python(version).state is state


@pytest.mark.parametrize(
    ("lines", "state", "words"),
    [
        (
            "# a comment\n-r other.txt\nPyTest>=9 # tests\npytest>=9; python_version < '3'\n",
            OK,
            "1 as pinned",
        ),
        ("pytest==0.0.1\n", WARN, "not ==0.0.1"),
        (
            "pytest==0.0.1\nkeylike-has-no-such-package==1.0\n",
            FAULT,
            "not installed: keylike-has-no-such-package",
        ),
    ],
)
def test_pins_against_what_is_installed(
    tmp_path: Path, lines: str, state: State, words: str
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(lines)
    found = packages.required(file)
    assert found.state is state and words in found.saw
    assert ("make serve" in found.advice) is (state is not OK)


def test_the_servers_own_requirements_are_all_compared() -> None:
    compared = packages.compare(ROOT / "requirements.txt")
    assert compared.right > 25 and not compared.lacking


def test_packages_for_gemma_are_missed_only_where_gemma_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "requirements-gemma.txt"
    file.write_text("keylike-has-no-such-package==1.0\n")
    states = {
        (wanted, torch): packages.for_gemma(file, wanted=wanted, torch=torch)
        for wanted in (True, False)
        for torch in (True, False)
    }
    assert {case: found.state for case, found in states.items()} == {
        (True, True): FAULT,
        (True, False): FAULT,
        (False, True): NOTE,
        (False, False): NOTE,
    }
    assert "make serve-gemma" in states[False, False].advice
    assert packages.for_gemma(tmp_path / "none.txt", wanted=True, torch=True).state is WARN
