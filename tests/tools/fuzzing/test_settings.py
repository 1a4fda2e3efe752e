"""Whatever stands in the environment or in .env: settings, or one line that says what is wrong and holds no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keylike.settings import Settings, SettingsError, load_settings
from tools.fuzzing.hostile_load.words import WORDS

NAMES = [
    str(field.validation_alias or f"KEYLIKE_{name.upper()}")
    for name, field in Settings.model_fields.items()
]
SECRETS = [
    str(field.validation_alias or f"KEYLIKE_{name.upper()}")
    for name, field in Settings.model_fields.items()
    if "Secret" in str(field.annotation)
]
# Nothing else can stand in an environment.
VALUES = st.text(
    st.characters(exclude_characters="\0", codec="utf-8"), max_size=30
) | st.sampled_from([word for word in WORDS if "\0" not in word])
NUMBERS = st.integers().map(str) | st.floats().map(str)
ANYHOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CANARY = "c4nary"


def load() -> Settings | None:
    """The settings, if they could be read; else the error has been looked at."""
    try:
        return load_settings()
    except SettingsError as error:
        assert "\n" not in str(error) and CANARY not in str(error)
        return None


@given(chosen=st.dictionaries(st.sampled_from(NAMES), VALUES | NUMBERS, max_size=6))
@ANYHOW
def test_any_values_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]
) -> None:
    with monkeypatch.context() as inside:
        for name, value in chosen.items():
            inside.setenv(name, value)
        found = load()
    assert found is None or (
        0 <= found.port <= 65535 and found.threads >= 1 and found.deadline_s > 0
    )


@given(name=st.sampled_from(SECRETS), before=VALUES, after=VALUES)
@ANYHOW
def test_no_secret_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, before: str, after: str
) -> None:
    with monkeypatch.context() as inside:
        inside.setenv(name, before + CANARY + after)
        found = load()
    assert found is None or CANARY not in repr(found) + str(found) + found.model_dump_json()


@given(
    content=st.binary(max_size=200)
    | st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4).map(
        lambda lines: "\n".join(map("=".join, lines)).encode()
    )
)
@ANYHOW
def test_any_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    load()
