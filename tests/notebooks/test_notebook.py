"""Tests that run the notebook: with a tunnel, without one, and with a killed kernel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from numpy.typing import NDArray

from keylike.tunnel.session import is_alive
from tests.notebooks.notebook_runner import (
    BITTING,
    ROOT,
    SAMPLE,
    committed_notebook,
    decode_picture,
    notebook,
    read_sample,
)
from tests.running import until
from tests.tunnel.standin import NGROK_TOKEN, StandIn

EXPECTED_READING = f"{SAMPLE['keyway']} (Schlage), bitting {BITTING} (bow to tip)"
CUT = (255, 196, 0)  # RGB colour in which the cuts are drawn over the photo


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[StandIn]:
    """Install a fake ngrok agent. Check after the test that none of its processes still runs."""
    installed = StandIn(tmp_path / "ngrok")
    yield installed
    until(installed.gone)


def with_ngrok(standin: StandIn, token: str = NGROK_TOKEN) -> dict[str, str]:
    """Return environment variables with the fake ngrok agent in PATH and a token of ngrok."""
    return {"PATH": f"{standin.bin}:{os.environ['PATH']}", "NGROK_TOKEN": token}


def count_cut_pixels(image: NDArray[np.uint8]) -> int:
    """Return the number of pixels in the colour of drawn cuts."""
    return int((np.abs(image.astype(int) - CUT).max(axis=2) < 60).sum())


def test_committed_notebook_has_no_outputs() -> None:
    committed = committed_notebook()
    nbformat.validate(committed)
    assert [
        cell.id for cell in committed.cells if cell.get("outputs") or cell.get("execution_count")
    ] == []
    assert committed.metadata.colab.private_outputs is True
    codes = [at for at, cell in enumerate(committed.cells) if cell.cell_type == "code"]
    assert len(codes) > 4 and all(
        committed.cells[at - 1].cell_type == "markdown" for at in codes
    ), "every code cell must follow a text cell"


def get(repository: str) -> Path:
    """Execute the first code cell and return the folder of Keylike that it has found or cloned."""
    source = next(cell.source for cell in committed_notebook().cells if cell.id == "get")
    names: dict[str, object] = {}
    exec(source.replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}"), names)
    assert isinstance(names["HOME"], Path)
    return names["HOME"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_first_cell_clones_the_repository_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    origin, manifest = tmp_path / "origin", Path("models/caliper/manifest.toml")
    (origin / manifest).parent.mkdir(parents=True)
    (origin / manifest).touch()
    git_options = [
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        [*git_options, "commit", "--quiet", "-m", "First commit"],
    ):
        subprocess.run(["git", *arguments], cwd=origin, check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with pytest.raises(ValueError, match="Fill in REPOSITORY"):
        get("")
    assert (
        get(origin.as_uri()) == get("") == empty / "keylike"
        and (empty / "keylike" / manifest).is_file()
    )
    assert sys.path[-2:] == [str(empty / "keylike"), str(empty / "keylike" / "clients" / "python")]


def test_notebook_with_a_tunnel_runs_all_cells(tmp_path: Path, standin: StandIn) -> None:
    sample = decode_picture((ROOT / "samples" / SAMPLE["file"]).read_bytes())
    with notebook(tmp_path, **with_ngrok(standin)) as book:
        book.run("get", "install", "serve", "phone")
        code = book.picture("phone")
        assert code is not None
        link = cv2.QRCodeDetector().detectAndDecode(code)[0]
        address, _, token = link.partition("/#token=")
        assert token.startswith("kl_") and link in book.saved(), (
            "the link must also be shown as text"
        )
        assert (read_sample(address, token), read_sample(address, None)) == (
            BITTING,
            "unauthorized",
        )
        assert EXPECTED_READING in book.run("read")
        drawn = book.picture("read")
        assert drawn is not None and drawn.shape == sample.shape
        assert count_cut_pixels(drawn) > 300 > 0 == count_cut_pixels(sample)
        assert token not in book.saved("phone") and NGROK_TOKEN not in book.saved()
        book.run("stop")
        assert book.picture("phone") is None and "the link no longer works" in book.saved()
        assert token not in book.saved() and NGROK_TOKEN not in book.saved()
        assert not is_alive(book.address()) and not is_alive(address) and standin.gone(), (
            "server and tunnel must have ended although the kernel still runs"
        )


def test_notebook_without_an_ngrok_token_reads_photos(tmp_path: Path, standin: StandIn) -> None:
    with notebook(tmp_path, **with_ngrok(standin, token="")) as book:
        output = book.run()
        assert (
            "No ngrok token: only this notebook can use the server" in output
            and "There is no tunnel" in output
        )
        assert (
            EXPECTED_READING in output
            and book.picture("read") is not None
            and book.picture("phone") is None
        )
        assert not is_alive(book.address()) and standin.seen("pid") == []


def test_server_and_tunnel_end_when_the_kernel_is_killed(tmp_path: Path, standin: StandIn) -> None:
    with notebook(tmp_path, **with_ngrok(standin)) as book:
        book.run("get", "install", "serve")
        assert is_alive(book.address()) and not standin.gone()
        os.kill(book.kernel(), signal.SIGKILL)
        until(lambda: not is_alive(book.address()))
        until(standin.gone)
