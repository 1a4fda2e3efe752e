"""Tests of faults of the token file.

If the time of last use cannot be written, requests are still admitted. If the file cannot be read,
no request is admitted.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keylike.access.store import TokenStore
from keylike.access.tokens import Tier, Token, TokenError, TokensUnreadable, generate_secret
from tests.access.stores import NOW, Clock, opened

# The user id of the user `nobody`, who has no rights.
NOBODY_UID = 65534
# A program that is killed in the middle of a transaction. It has then overwritten parts of the
# file, whose old content SQLite keeps in a journal.
KILLED_WHILE_WRITING = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE tokens SET tier = 'admin'")
connection.execute(
    "INSERT INTO tokens SELECT name || ' again', randomblob(32), "
    "tier, created, expires, last_used FROM tokens"
)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def clock() -> Clock:
    """Return a clock that only the test changes."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[TokenStore]:
    """Return a token store that does not wait for locks of the file."""
    with opened(tmp_path / "tokens.sqlite3", clock, wait_s=0.0) as store:
        yield store


@contextmanager
def without_root() -> Iterator[None]:
    """Run the block without root rights, because root may read and write every file."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY_UID)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def read_only_file(store: TokenStore) -> Iterator[tuple[Path, str]]:
    """Return a token file and its secret. Neither the file nor its folder is writable."""
    clear = store.new("phone", Tier.PREMIUM, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(store.path, folder))
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        yield path, clear
        Path(folder).chmod(0o755)


def test_read_only_token_file_can_be_queried_but_not_changed(
    read_only_file: tuple[Path, str],
) -> None:
    path, clear = read_only_file
    with without_root(), opened(path) as store:
        assert [store.find(clear) for _ in range(3)] == [Token("phone", Tier.PREMIUM, NOW)] * 3
        assert store.find("kl_" + "a" * 43) is None
        with pytest.raises(TokensUnreadable, match="readonly"):
            store.new("desk", Tier.FREE, None)
        with pytest.raises(TokensUnreadable, match="readonly"):
            store.revoke("phone")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_token_file_without_read_permission_admits_nobody(read_only_file: tuple[Path, str]) -> None:
    path, clear = read_only_file
    path.chmod(0o000)
    with without_root(), opened(path) as store, pytest.raises(TokensUnreadable):
        store.find(clear)


def test_folder_without_permission_admits_nobody(read_only_file: tuple[Path, str]) -> None:
    path, clear = read_only_file
    path.parent.chmod(0o000)
    with without_root(), opened(path) as store:
        for ask in (lambda: store.find(clear), store.any, store.tokens):
            with pytest.raises(TokensUnreadable, match="Permission denied"):
                ask()


def test_full_disk_prevents_new_tokens_and_last_use_but_not_find(
    store: TokenStore, clock: Clock
) -> None:
    clear = store.new("phone", Tier.FREE, None)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        found = [store.find(clear) for _ in range(3)]
        with pytest.raises(TokensUnreadable):
            store.new("desk", Tier.FREE, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found == [Token("phone", Tier.FREE, NOW)] * 3
    assert store.tokens() == [Token("phone", Tier.FREE, NOW)]
    clock.now += 60
    store.find(clear)
    assert store.tokens()[0].last_used == clock.now


def test_write_lock_prevents_revoke_and_last_use_but_not_find(
    store: TokenStore, clock: Clock
) -> None:
    clear = store.new("phone", Tier.FREE, None)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert [store.find(clear) for _ in range(3)] == [Token("phone", Tier.FREE, NOW)] * 3
        with pytest.raises(TokensUnreadable, match="locked"):
            store.revoke("phone")
    # After a failure the time of last use is not written before a minute has passed.
    assert store.find(clear) == Token("phone", Tier.FREE, NOW)
    assert store.tokens()[0].last_used is None
    clock.now += 60
    store.find(clear)
    assert store.tokens()[0].last_used == clock.now


def test_find_does_not_wait_until_the_last_use_can_be_written(tmp_path: Path) -> None:
    with (
        opened(tmp_path / "tokens.sqlite3", wait_s=60.0) as store,
        ThreadPoolExecutor(1) as threads,
    ):
        clear = store.new("phone", Tier.FREE, None)
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert threads.submit(store.find, clear).result(10)


def test_exclusively_locked_file_admits_nobody_until_released(store: TokenStore) -> None:
    clear = store.new("phone", Tier.FREE, None)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(3):
            with pytest.raises(TokensUnreadable, match="locked"):
                store.find(clear)
    assert store.find(clear)


def test_find_does_not_wait_for_another_thread_with_the_lock(tmp_path: Path) -> None:
    inside, released = threading.Event(), threading.Event()

    def clock() -> float:
        if threading.current_thread() is first:
            inside.set()
            assert released.wait(20)
        return NOW

    with opened(tmp_path / "tokens.sqlite3", clock, wait_s=0.0) as store:
        # any() reads the clock while it holds the lock.
        first = threading.Thread(target=store.any)
        clear = store.new("phone", Tier.FREE, None)
        first.start()
        assert inside.wait(20)
        with pytest.raises(TokensUnreadable, match="locked"):
            store.find(clear)
        released.set()
        first.join()
        assert store.find(clear)


@pytest.mark.parametrize(
    "content", [b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000, b"SQLite format 3\0"]
)
def test_file_that_is_not_a_database_admits_nobody(store: TokenStore, content: bytes) -> None:
    store.path.write_bytes(content)
    calls = (
        lambda: store.find("kl_" + "a" * 43),
        store.any,
        store.tokens,
        lambda: store.revoke("phone"),
        lambda: store.new("phone", Tier.FREE, None),
    )
    for ask in calls:
        with pytest.raises(TokensUnreadable) as raised:
            ask()
        assert str(store.path.parent) not in str(raised.value)


def test_database_of_another_program_admits_nobody(store: TokenStore) -> None:
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("CREATE TABLE tokens (name TEXT, secret TEXT)")
    with pytest.raises(TokensUnreadable):
        store.find("kl_" + "a" * 43)
    with pytest.raises(TokensUnreadable):
        store.new("phone", Tier.ADMIN, None)


def test_folder_instead_of_a_token_file_admits_nobody(store: TokenStore) -> None:
    store.path.mkdir()
    with pytest.raises(TokensUnreadable):
        store.find("kl_" + "a" * 43)


@pytest.mark.parametrize("path", ["link/tokens.sqlite3", "link"])
def test_new_reports_a_file_that_cannot_be_created(tmp_path: Path, path: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "tokens.sqlite3")
    with opened(tmp_path / path) as store:
        with pytest.raises(TokensUnreadable):
            store.new("phone", Tier.FREE, None)
        assert store.find("kl_" + "a" * 43) is None


@pytest.mark.parametrize(
    "change",
    [
        "tier = 'root'",
        "tier = x'00'",
        "created = 'soon'",
        "expires = x'ff'",
        "name = x'ff'",
        "last_used = 'x'",
    ],
)
def test_invalid_value_in_the_token_file_admits_nobody(store: TokenStore, change: str) -> None:
    clear = store.new("phone", Tier.FREE, None)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute(f"UPDATE tokens SET {change}")
    with pytest.raises(TokensUnreadable):
        store.find(clear)
    with pytest.raises(TokensUnreadable):
        store.tokens()


@settings(deadline=None)
@given(start=st.integers(0, 5 * 4096), damage=st.binary(min_size=1, max_size=64))
def test_damaged_token_file_raises_only_expected_errors(start: int, damage: bytes) -> None:
    with opened() as store:
        clear = store.new("phone", Tier.FREE, None)
        whole = store.path.read_bytes()
        at = start % len(whole)
        store.path.write_bytes(whole[:at] + damage + whole[at + len(damage) :])
        for ask in (
            lambda: store.find(clear),
            store.any,
            store.tokens,
            lambda: store.revoke("x"),
            lambda: store.new("y", Tier.FREE, None),
        ):
            try:
                ask()
            except (TokensUnreadable, TokenError):
                continue


def test_transaction_of_a_killed_process_is_rolled_back(store: TokenStore) -> None:
    clear = store.new("phone", Tier.FREE, None)
    for number in range(100):
        store.new(f"n{number}", Tier.FREE, None)
    store.close()
    process = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(store.path)], check=False, timeout=60
    )
    journal = store.path.with_name(store.path.name + "-journal")
    assert process.returncode == -signal.SIGKILL and journal.stat().st_size > 4096
    assert b"admin" in store.path.read_bytes()
    assert store.find(clear) == Token("phone", Tier.FREE, NOW)
    assert {token.tier for token in store.tokens()} == {Tier.FREE}
    assert len(store.tokens()) == 101


def test_may_contain_never_waits_for_a_locked_file(tmp_path: Path, clock: Clock) -> None:
    """Check for a secret while the file is locked. Waiting for the lock would take an hour."""
    with opened(tmp_path / "tokens.sqlite3", clock, wait_s=3600.0) as store:
        secret, other = store.new("a", Tier.FREE, None), generate_secret()
        assert [store.may_contain(each) for each in (secret, other, "short")] == [
            True,
            False,
            False,
        ]
        with closing(sqlite3.connect(store.path, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            assert [store.may_contain(each) for each in (secret, other)] == [True, True]
        with store._lock, ThreadPoolExecutor(1) as threads:
            assert threads.submit(store.may_contain, other).result(20)
        assert not store.may_contain(other)


def test_may_contain_is_false_without_a_file(store: TokenStore) -> None:
    assert not store.may_contain(generate_secret())
