"""Tests of settings with random values: they load, or fail with one line without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keylike.settings import Settings, SettingsError, load_settings
from tools.fuzzing.hostile_load.payloads import TEXTS

NAMES = [
    str(field.validation_alias or f"KEYLIKE_{name.upper()}")
    for name, field in Settings.model_fields.items()
]
SECRETS = [
    str(field.validation_alias or f"KEYLIKE_{name.upper()}")
    for name, field in Settings.model_fields.items()
    if "Secret" in str(field.annotation)
]
# Random values. Environment variables can contain all characters except NUL.
VALUES = st.text(
    st.characters(exclude_characters="\0", codec="utf-8"), max_size=30
) | st.sampled_from([word for word in TEXTS if "\0" not in word])
NUMBERS = st.integers().map(str) | st.floats().map(str)
TEST_SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CANARY = "c4nary"


def load() -> Settings | None:
    """Return the settings, or None after checking the error message."""
    try:
        return load_settings()
    except SettingsError as error:
        assert "\n" not in str(error) and CANARY not in str(error)
        return None


@given(values=st.dictionaries(st.sampled_from(NAMES), VALUES | NUMBERS, max_size=6))
@TEST_SETTINGS
def test_random_environment_variables_load_or_fail_with_one_line(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    with monkeypatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        loaded = load()
    assert loaded is None or (
        0 <= loaded.port <= 65535 and loaded.threads >= 1 and loaded.deadline_s > 0
    )


@given(name=st.sampled_from(SECRETS), before=VALUES, after=VALUES)
@TEST_SETTINGS
def test_secret_setting_never_appears_in_errors_or_repr(
    monkeypatch: pytest.MonkeyPatch, name: str, before: str, after: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(name, before + CANARY + after)
        loaded = load()
    assert loaded is None or CANARY not in repr(loaded) + str(loaded) + loaded.model_dump_json()


@given(
    content=st.binary(max_size=200)
    | st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4).map(
        lambda lines: "\n".join(map("=".join, lines)).encode()
    )
)
@TEST_SETTINGS
def test_random_env_file_loads_or_fails_with_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    load()
