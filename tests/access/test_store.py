"""Tests of the token store, also with several threads and processes."""

from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keylike.access.store import TokenStore
from keylike.access.tokens import LENGTH, Tier, Token, TokenError, digest
from tests.access.stores import NOW, Clock, opened

ROOT = Path(__file__).resolve().parent.parent.parent
# A program that creates a token at one input line and revokes it at the next.
OTHER_PROCESS = """
import sys
from pathlib import Path
from keylike.access.store import TokenStore
from keylike.access.tokens import Tier
store = TokenStore(Path(sys.argv[1]), lambda: 1.0)
for number, line in enumerate(sys.stdin):
    name = f"n{number // 2}"
    result = store.revoke(name) if number % 2 else store.new(name, Tier.PREMIUM, None)
    print(result, flush=True)
store.close()
"""


@pytest.fixture
def clock() -> Clock:
    """Return a clock that only the test changes."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[TokenStore]:
    """Return a token store whose file does not exist yet."""
    with opened(tmp_path / "tokens.sqlite3", clock) as store:
        yield store


def test_find_returns_the_token_for_its_secret(store: TokenStore) -> None:
    phone, desk = store.new("phone", Tier.FREE, None), store.new("desk", Tier.ADMIN, 60)
    assert store.find(phone) == Token("phone", Tier.FREE, NOW)
    assert store.find(desk) == Token("desk", Tier.ADMIN, NOW, NOW + 60)
    assert [token.name for token in store.tokens()] == ["desk", "phone"]
    assert store.any()


def test_queries_without_a_file_find_nothing_and_create_no_file(store: TokenStore) -> None:
    assert (store.find("kl_" + "a" * 43), store.tokens(), store.any(), store.revoke("phone")) == (
        None,
        [],
        False,
        False,
    )
    assert list(store.path.parent.glob("tokens*")) == []


def test_empty_file_has_no_tokens_and_accepts_new_ones(store: TokenStore) -> None:
    store.path.touch()
    assert (store.find("kl_" + "a" * 43), store.tokens(), store.any(), store.revoke("phone")) == (
        None,
        [],
        False,
        False,
    )
    assert store.find(store.new("phone", Tier.FREE, None)) is not None


def test_new_creates_a_missing_folder_that_only_the_owner_can_read(tmp_path: Path) -> None:
    with opened(tmp_path / "keylike" / "tokens.sqlite3") as store:
        assert store.find(store.new("phone", Tier.FREE, None)) is not None
        assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_token_file_does_not_contain_the_secret(store: TokenStore) -> None:
    clear = store.new("phone", Tier.FREE, None)
    assert store.find(clear)
    written = store.path.read_bytes()
    assert b"phone" in written
    assert not any(clear[at : at + 8].encode() in written for at in range(3, LENGTH - 8))


def test_find_rejects_the_stored_hash(store: TokenStore) -> None:
    hashed = digest(store.new("phone", Tier.FREE, None))
    sent = (hashed.hex(), "kl_" + hashed.hex()[:43], hashed.decode("latin-1"))
    assert [store.find(each) for each in sent] == [None] * 3


def test_new_creates_a_file_that_only_the_owner_can_read(store: TokenStore) -> None:
    umask = os.umask(0)
    try:
        store.new("phone", Tier.FREE, None)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_new_rejects_a_name_in_use(store: TokenStore) -> None:
    first = store.new("Zo\u00eb", Tier.FREE, None)
    with pytest.raises(TokenError, match="a token named Zo\u00eb already exists"):
        store.new("Zoe\u0308", Tier.ADMIN, None)
    assert store.find(first) == Token("Zo\u00eb", Tier.FREE, NOW)
    assert store.revoke("Zoe\u0308")
    store.new("Zo\u00eb", Tier.FREE, None)
    assert store.find(first) is None


@pytest.mark.parametrize("lasts_s", [0.0, -1.0, math.nan, math.inf, 1e300])
def test_new_rejects_an_invalid_lifetime(store: TokenStore, lasts_s: float) -> None:
    with pytest.raises(TokenError):
        store.new("phone", Tier.FREE, lasts_s)
    assert store.tokens() == []


def test_token_expires_after_its_lifetime(store: TokenStore, clock: Clock) -> None:
    clear = store.new("guest", Tier.FREE, 60)
    clock.now = NOW + 59.9
    assert store.find(clear) and store.any()
    clock.now = NOW + 60
    assert store.find(clear) is None and not store.any()
    assert store.tokens()[0].expired(clock.now)
    with pytest.raises(TokenError):
        store.new("guest", Tier.FREE, None)


def test_last_use_is_written_at_most_once_a_minute(store: TokenStore, clock: Clock) -> None:
    clear = store.new("phone", Tier.FREE, None)
    seen = []
    for after in (0.0, 59.0, 60.0, 61.0, 200.0):
        clock.now = NOW + after
        store.find(clear)
        seen.append(store.tokens()[0].last_used)
    assert seen == [NOW, NOW, NOW + 60, NOW + 60, NOW + 200]
    assert [token.last_used for token in [store.find(clear)] if token] == [NOW + 200]


def test_last_use_is_written_after_the_clock_was_set_back(store: TokenStore, clock: Clock) -> None:
    clear = store.new("phone", Tier.FREE, None)
    store.find(clear)
    clock.now = NOW - 1e6
    store.find(clear)
    assert store.tokens()[0].last_used == NOW - 1e6


def test_last_use_written_by_another_server_is_respected(store: TokenStore, clock: Clock) -> None:
    clear = store.new("phone", Tier.FREE, None)
    store.find(clear)
    clock.now = NOW + 30
    with opened(store.path, clock) as replica:
        assert replica.find(clear)
    assert store.tokens()[0].last_used == NOW


@settings(deadline=None)
@given(st.text(st.characters(), max_size=70))
def test_new_accepts_or_rejects_any_name_without_side_effects(name: str) -> None:
    with opened() as store:
        existing = store.new("existing", Tier.FREE, None)
        try:
            secret = store.new(name, Tier.PREMIUM, None)
        except TokenError:
            assert not store.revoke(name) or name == "existing"
        else:
            found = store.find(secret)
            assert found and found.tier is Tier.PREMIUM and len(store.tokens()) == 2
            assert store.revoke(name) and store.find(secret) is None
            assert store.find(existing)


@pytest.mark.parametrize(
    "name",
    [
        "'; DROP TABLE tokens; --",
        "x' OR '1'='1",
        'a"; UPDATE tokens SET tier="admin"; --',
        "%",
        "_",
    ],
)
def test_sql_in_a_name_is_not_executed(store: TokenStore, name: str) -> None:
    existing = store.new("existing", Tier.FREE, None)
    assert not store.revoke(name)
    secret = store.new(name, Tier.FREE, None)
    assert [token.name for token in store.tokens()] == sorted([name, "existing"])
    assert store.revoke(name) and store.find(secret) is None
    assert store.find(existing) == Token("existing", Tier.FREE, NOW)


@pytest.fixture(scope="module")
def existing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TokenStore, str]]:
    """Return a store with one token, and that token's secret."""
    with opened(tmp_path_factory.mktemp("tokens") / "tokens.sqlite3") as store:
        yield store, store.new("existing", Tier.FREE, None)


@settings(deadline=None)
@given(
    sent=st.one_of(
        st.text(st.characters()), st.text(st.characters(), min_size=LENGTH, max_size=LENGTH)
    )
)
def test_find_rejects_arbitrary_strings(existing: tuple[TokenStore, str], sent: str) -> None:
    assert existing[0].find(sent) is None


@settings(deadline=None)
@given(at=st.integers(0, LENGTH - 1), letter=st.characters())
def test_find_rejects_a_secret_with_one_changed_character(
    existing: tuple[TokenStore, str], at: int, letter: str
) -> None:
    store, clear = existing
    guess = clear[:at] + letter + clear[at + 1 :]
    assert (store.find(guess) is not None) == (guess == clear)


@pytest.mark.parametrize("ending", ["\0", "\n", " ", "\u200b", "a" * 1_000_000])
def test_find_rejects_a_secret_with_extra_characters(
    existing: tuple[TokenStore, str], ending: str
) -> None:
    store, clear = existing
    assert (store.find(clear + ending), store.find(ending + clear), store.find(clear.upper())) == (
        None,
        None,
        None,
    )


def test_changes_by_another_process_take_effect_at_once(store: TokenStore) -> None:
    existing, stopping = store.new("existing", Tier.FREE, None), threading.Event()

    def query() -> int:
        found = 0
        while not stopping.is_set():
            assert store.find(existing)
            found += 1
        return found

    command = [sys.executable, "-c", OTHER_PROCESS, str(store.path)]
    with (
        ThreadPoolExecutor(4) as threads,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        queries = [threads.submit(query) for _ in range(4)]
        assert process.stdin and process.stdout
        try:
            for number in range(20):
                process.stdin.write("new\n")
                process.stdin.flush()
                clear = process.stdout.readline().strip()
                found = store.find(clear)
                assert found and (found.name, found.tier) == (f"n{number}", Tier.PREMIUM)
                process.stdin.write("revoke\n")
                process.stdin.flush()
                assert process.stdout.readline() == "True\n"
                assert store.find(clear) is None
        finally:
            stopping.set()
            process.stdin.close()
        assert all(each.result(20) for each in queries)


def test_find_succeeds_while_many_threads_write_the_last_use(
    store: TokenStore, clock: Clock
) -> None:
    tokens = [store.new(f"n{number}", Tier.FREE, None) for number in range(8)]

    def use(minute: int) -> None:
        clock.now = NOW + 60 * minute
        assert all(store.find(clear) for clear in tokens)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(10)))
    assert all(token.last_used for token in store.tokens())


@pytest.mark.parametrize("how", ["deleted", "another", "moved", "copied"])
def test_replaced_token_file_takes_effect_at_once(
    store: TokenStore, how: str, tmp_path: Path
) -> None:
    clear, other_path = store.new("phone", Tier.FREE, None), tmp_path / "other.sqlite3"
    assert store.find(clear)
    with opened(other_path) as other:
        others = other.new("desk", Tier.ADMIN, None)
        # Write to the second file as often as to the first. Otherwise their change counters differ,
        # and SQLite itself would notice that the file was replaced.
        assert other.find(others)
    if how == "moved":
        other_path.rename(store.path)
    elif how == "copied":
        store.path.write_bytes(other_path.read_bytes())
        os.utime(store.path, (NOW, NOW))
    else:
        store.path.unlink()
    if how == "another":
        others = store.new("desk", Tier.ADMIN, None)
    assert store.find(clear) is None
    assert (store.find(others) is not None) == (how != "deleted")
    assert store.path.exists() == (how != "deleted")


def test_relative_path_is_resolved_when_the_store_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    with opened(Path("tokens 100%?.sqlite3")) as store:
        clear = store.new("phone", Tier.FREE, None)
        monkeypatch.chdir("there")
        assert store.find(clear)
        assert [path.name for path in tmp_path.glob("tokens*")] == ["tokens 100%?.sqlite3"]
