"""Tests of the `tokens` commands as a user runs them: output, exit status and error messages."""

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
    """Return the path of the token file."""
    return tmp_path / "tokens.sqlite3"


def run_tokens(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python app.py tokens ...` in a process of its own."""
    command = [sys.executable, str(ROOT / "app.py"), "tokens", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "KEYLIKE_TOKENS": str(path)},
    )


def test_tokens_new_prints_only_the_token_to_stdout(path: Path) -> None:
    done = run_tokens(path, "new", "phone of Zoë", "--tier", "premium", "--days", "3")
    clear = done.stdout.removesuffix("\n")
    assert done.returncode == 0 and len(clear.split()) == 1
    assert "phone of Zoë" in done.stderr and "premium" in done.stderr and clear not in done.stderr
    with opened(path, time.time) as store:
        found = store.find(clear)
    assert found and (found.name, found.tier) == ("phone of Zoë", Tier.PREMIUM)
    assert found.expires == found.created + 3 * 86_400 and abs(found.created - time.time()) < 60
    assert path.stat().st_mode & 0o777 == 0o600


def test_tokens_list_never_shows_a_token(path: Path) -> None:
    created = [
        run_tokens(path, "new", "phone").stdout.strip(),
        run_tokens(path, "new", "[red]desk", "--tier", "admin", "--days", "1").stdout.strip(),
    ]
    table, lines = run_tokens(path, "list"), run_tokens(path, "list", "--json")
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
        clear[3:11] in output
        for clear in created
        for output in (table.stdout, table.stderr, lines.stdout, lines.stderr)
    )


def test_tokens_revoke_takes_effect_in_a_running_server(path: Path) -> None:
    clear = run_tokens(path, "new", "phone").stdout.strip()
    with opened(path) as server:
        assert server.find(clear)
        assert run_tokens(path, "revoke", "phone").returncode == 0
        assert server.find(clear) is None
    again = run_tokens(path, "revoke", "phone")
    assert (again.returncode, again.stdout, again.stderr) == (
        1,
        "",
        "keylike: no token is named 'phone'\n",
    )


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (("new", "phone"), "a token named phone already exists"),
        (("new", "a\nb"), "printable characters"),
        (("new", "x" * 65), "1 to 64 characters"),
        (("new", "KEYLIKE_API_KEY"), "KEYLIKE_API_KEY is reserved"),
        (("new", "desk", "--tier", "root"), "free"),
        (("new", "desk", "--days", "0"), "--days"),
        (("new", "desk", "--days", "nan"), "--days"),
        (("new",), "NAME"),
    ],
)
def test_tokens_new_with_invalid_arguments_creates_no_token(
    path: Path, words: tuple[str, ...], output: str
) -> None:
    with opened(path) as store:
        store.new("phone", Tier.FREE, None)
        done = run_tokens(path, *words)
        assert (
            (done.returncode, done.stdout) == (2, "")
            and output in done.stderr
            and "Traceback" not in done.stderr
        )
        assert [token.name for token in store.tokens()] == ["phone"]


@pytest.mark.parametrize("name", [os.fsdecode(b"\xff"), "\x1b[31m", "'; DROP TABLE tokens; --"])
def test_revoke_with_an_unknown_name_prints_one_line(path: Path, name: str) -> None:
    done = run_tokens(path, "revoke", name)
    assert (done.returncode, len(done.stderr.splitlines()), "\x1b" in done.stderr) == (1, 1, False)
    assert not path.exists()


@pytest.mark.parametrize("words", [("new", "phone"), ("list",), ("revoke", "phone")])
def test_token_file_that_is_not_a_database_is_reported_in_one_line(
    path: Path, words: tuple[str, ...]
) -> None:
    path.write_bytes(b"x" * 5000)
    done = run_tokens(path, *words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert (
        done.stderr == f"keylike: {path}: the token file cannot be used: file is not a database\n"
    )
    assert path.read_bytes() == b"x" * 5000


def test_token_file_that_others_can_read_causes_a_warning(path: Path) -> None:
    assert "chmod" not in run_tokens(path, "new", "phone").stderr
    path.chmod(0o644)
    done = run_tokens(path, "list")
    assert (done.returncode, done.stderr) == (
        0,
        (
            f"keylike: {path} is accessible to other users of this machine; restrict "
            "it with chmod 600\n"
        ),
    )


def test_tokens_list_marks_expired_tokens(path: Path) -> None:
    clock = Clock()
    commands = tokens_cli(lambda: TokenStore(path, clock))
    assert "no tokens yet" in CliRunner().invoke(commands, ["list"]).output
    with opened(path, clock) as store:
        store.find(store.new("guest", Tier.FREE, 60))
    clock.now = NOW + 60
    output = CliRunner().invoke(commands, ["list"]).output
    assert "expired" in output and output.count("2026-11-18") == 3


def test_help_lists_the_commands(path: Path) -> None:
    done = run_tokens(path, "--help")
    assert done.returncode == 0 and all(word in done.stdout for word in ("new", "list", "revoke"))
