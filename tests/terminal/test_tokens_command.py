"""`tokens`, typed as its user types it: a token alone on stdout, lists without tokens, and a line for each mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keylike.access.store import TokenStore
from keylike.access.tokens import Tier
from keylike.terminal.tokens_command import tokens_cli
from tests.access.stores import NOW, Clock, opened

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the tokens are kept."""
    return tmp_path / "tokens.sqlite3"


def typed(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`python app.py tokens ...` in a process of its own."""
    command = [sys.executable, str(ROOT / "app.py"), "tokens", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "KEYLIKE_TOKENS": str(path)},
    )


def test_a_token_is_alone_on_stdout_and_passes(path: Path) -> None:
    done = typed(path, "new", "phone of Zoë", "--tier", "premium", "--days", "3")
    clear = done.stdout.removesuffix("\n")
    assert done.returncode == 0 and len(clear.split()) == 1
    assert "phone of Zoë" in done.stderr and "premium" in done.stderr and clear not in done.stderr
    with opened(path, time.time) as store:
        found = store.find(clear)
    assert found and (found.name, found.tier) == ("phone of Zoë", Tier.PREMIUM)
    assert found.expires == found.created + 3 * 86_400 and abs(found.created - time.time()) < 60
    assert path.stat().st_mode & 0o777 == 0o600


def test_lists_never_show_a_token(path: Path) -> None:
    made = [
        typed(path, "new", "phone").stdout.strip(),
        typed(path, "new", "[red]desk", "--tier", "admin", "--days", "1").stdout.strip(),
    ]
    table, lines = typed(path, "list"), typed(path, "list", "--json")
    assert (table.returncode, lines.returncode) == (0, 0)
    assert "[red]desk" in table.stdout and "never" in table.stdout
    tokens = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [(token["name"], token["tier"], token["last_used"]) for token in tokens] == [
        ("phone", "free", None),
        ("[red]desk", "admin", None),
    ]
    assert [token["expires"] is None for token in tokens] == [True, False]
    assert all(
        set(token) == {"name", "tier", "created", "expires", "last_used"} for token in tokens
    )
    assert not any(
        clear[3:11] in said
        for clear in made
        for said in (table.stdout, table.stderr, lines.stdout, lines.stderr)
    )


def test_a_revoked_token_does_not_pass_in_what_runs_already(path: Path) -> None:
    clear = typed(path, "new", "phone").stdout.strip()
    with opened(path) as server:
        assert server.find(clear)
        assert typed(path, "revoke", "phone").returncode == 0
        assert server.find(clear) is None
    again = typed(path, "revoke", "phone")
    assert (again.returncode, again.stdout, again.stderr) == (
        1,
        "",
        "keylike: there is no token named 'phone'\n",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("new", "phone"), "there is a token named phone already"),
        (("new", "a\nb"), "printable characters"),
        (("new", "x" * 65), "1 to 64 characters"),
        (("new", "KEYLIKE_API_KEY"), "that setting"),
        (("new", "desk", "--tier", "root"), "free"),
        (("new", "desk", "--days", "0"), "--days"),
        (("new", "desk", "--days", "nan"), "--days"),
        (("new",), "NAME"),
    ],
)
def test_a_mistake_makes_no_token(path: Path, words: tuple[str, ...], said: str) -> None:
    with opened(path) as store:
        store.new("phone", Tier.FREE, None)
        done = typed(path, *words)
        assert (
            (done.returncode, done.stdout) == (2, "")
            and said in done.stderr
            and "Traceback" not in done.stderr
        )
        assert [token.name for token in store.tokens()] == ["phone"]


@pytest.mark.parametrize("name", [os.fsdecode(b"\xff"), "\x1b[31m", "'; DROP TABLE tokens; --"])
def test_a_name_that_nobody_has_is_one_line(path: Path, name: str) -> None:
    done = typed(path, "revoke", name)
    assert (done.returncode, len(done.stderr.splitlines()), "\x1b" in done.stderr) == (1, 1, False)
    assert not path.exists()


@pytest.mark.parametrize("words", [("new", "phone"), ("list",), ("revoke", "phone")])
def test_a_file_that_is_no_database_is_one_line(path: Path, words: tuple[str, ...]) -> None:
    path.write_bytes(b"x" * 5000)
    done = typed(path, *words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert (
        done.stderr
        == f"keylike: {path}: the file of tokens cannot be used: file is not a database\n"
    )
    assert path.read_bytes() == b"x" * 5000


def test_a_file_open_to_others_is_told(path: Path) -> None:
    assert "chmod" not in typed(path, "new", "phone").stderr
    path.chmod(0o644)
    done = typed(path, "list")
    assert (done.returncode, done.stderr) == (
        0,
        f"keylike: {path} is open to others on this machine; close it with chmod 600\n",
    )


def test_the_table_tells_what_is_over(path: Path) -> None:
    clock = Clock()
    commands = tokens_cli(lambda: TokenStore(path, clock))
    assert "no tokens yet" in CliRunner().invoke(commands, ["list"]).output
    with opened(path, clock) as store:
        store.find(store.new("guest", Tier.FREE, 60))
    clock.now = NOW + 60
    said = CliRunner().invoke(commands, ["list"]).output
    assert "over" in said and said.count("2026-11-18") == 3


def test_help_tells_what_there_is(path: Path) -> None:
    done = typed(path, "--help")
    assert done.returncode == 0 and all(word in done.stdout for word in ("new", "list", "revoke"))
