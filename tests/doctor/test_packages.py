"""Tests of the comparison of installed packages with the versions in the lock files."""

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
def test_python_check_reports_unsupported_versions(version: tuple[int, int], state: State) -> None:
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
def test_package_check_reports_missing_packages_and_other_versions(
    tmp_path: Path, lines: str, state: State, words: str
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(lines)
    found = packages.required(file)
    assert found.state is state and words in found.saw
    assert ("make serve" in found.advice) is (state is not OK)


def test_compare_reads_all_packages_of_the_server_lock() -> None:
    compared = packages.compare(ROOT / "requirements.txt")
    assert compared.right > 40 and not compared.lacking


@pytest.mark.parametrize("lock", ["torch.txt", "gemma.txt"])
def test_missing_gemma_package_is_a_fault_only_if_gemma_is_wanted(
    tmp_path: Path, lock: str
) -> None:
    for name in ("torch.txt", "gemma.txt"):
        (tmp_path / name).write_text("nvidia-no-such-package==1.0 \\\n    --hash=sha256:00\n")
    (tmp_path / lock).write_text("keylike-has-no-such-package==1.0 \\\n    --hash=sha256:00\n")
    states = {
        (wanted, torch): packages.for_gemma(tmp_path, wanted=wanted, torch=torch)
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
    (tmp_path / lock).unlink()
    unreadable = packages.for_gemma(tmp_path, wanted=True, torch=True)
    assert unreadable.state is WARN and str(tmp_path / lock) in unreadable.saw
