"""Tests of settings from the environment and .env: unknown names, bad values, secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from keylike.settings import Settings, SettingsError, load_settings


def test_settings_have_their_defaults_without_environment_variables() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.model_folder.name) == (
        "127.0.0.1",
        5000,
        "caliper",
    )
    assert settings.token is None


def test_environment_takes_precedence_over_the_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "KEYLIKE_PORT=6001\nKEYLIKE_THREADS=2\nKEYLIKE_HOST=\nDATABASE_URL=foreign\nMODEL_PATH=some/model\n"
    )
    monkeypatch.setenv("KEYLIKE_PORT", "6002")
    settings = load_settings()
    assert (settings.port, settings.threads, settings.host) == (6002, 2, "127.0.0.1")
    assert settings.model_folder == Path("some/model")


def test_default_model_folder_is_caliper_in_the_models_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEYLIKE_MODELS", "elsewhere")
    assert load_settings().model_folder == Path("elsewhere/caliper")


def test_unknown_name_in_environment_is_refused_with_a_hint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEYLIKE_PROT", "1")
    with pytest.raises(
        SettingsError, match=r"unknown setting KEYLIKE_PROT \(did you mean KEYLIKE_PORT\?\)"
    ):
        load_settings()


def test_unknown_name_in_the_env_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KEYLIKE_COLOUR=red\n")
    with pytest.raises(SettingsError, match="unknown setting KEYLIKE_COLOUR"):
        load_settings()


def test_settings_error_lists_every_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("KEYLIKE_THREADS=0\nNGROK_TOKN=canary\n")
    monkeypatch.setenv("KEYLIKE_PROT", "1")
    monkeypatch.setenv("KEYLIKE_DEADLINE_S", "0")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert sorted(error.value.mistakes) == [
        "KEYLIKE_DEADLINE_S: must be a number above 0 and at most 600, not '0'",
        "KEYLIKE_THREADS: must be a whole number from 1 to 64, not '0'",
        "unknown setting KEYLIKE_PROT (did you mean KEYLIKE_PORT?)",
        "unknown setting NGROK_TOKN (did you mean NGROK_TOKEN?)",
    ]


@pytest.mark.parametrize("typed", ["MODEL_PTH", "MODEL_PATHH", "MODLE_PATH", "MODEL-PATH"])
def test_setting_with_a_typing_mistake_in_its_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setenv(typed, "models/mine")
    with pytest.raises(SettingsError, match=rf"{typed} \(did you mean MODEL_PATH\?\)"):
        load_settings()
    # If the right name is also set, the similar variable may belong to another program.
    monkeypatch.setenv("MODEL_PATH", "models/mine")
    assert load_settings().model_folder == Path("models/mine")


@pytest.mark.parametrize("name", ["MODEL_PATHOLOGY", "NGROK_AUTHTOKEN", "MODEL", "PATH_MODEL"])
def test_variable_of_another_program_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "something")
    assert load_settings().port == 5000


def test_service_variables_of_kubernetes_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KEYLIKE_SERVICE_HOST": "10.0.48.109",
        "KEYLIKE_SERVICE_PORT": "5000",
        "KEYLIKE_SERVICE_PORT_HTTP": "5000",
        "KEYLIKE_PORT_5000_TCP": "tcp://10.0.48.109:5000",
        "KEYLIKE_PORT_5000_TCP_PROTO": "tcp",
        "KEYLIKE_PORT_5000_TCP_PORT": "5000",
        "KEYLIKE_PORT_5000_TCP_ADDR": "10.0.48.109",
        "KEYLIKE_REDIS_SERVICE_HOST": "10.0.48.110",
        "KEYLIKE_REDIS_PORT": "tcp://10.0.48.110:6379",
        "KEYLIKE_PORT": "6001",
    }.items():
        monkeypatch.setenv(name, value)
    assert load_settings().port == 6001


def test_service_variable_of_kubernetes_as_port_is_refused_with_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEYLIKE_PORT", "tcp://10.0.48.109:5000")
    with pytest.raises(SettingsError, match=r"KEYLIKE_PORT: .* Kubernetes.* enableServiceLinks"):
        load_settings()
    assert load_settings(port=6001).port == 6001


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("KEYLIKE_PORT", "many", "must be a whole number from 0 to 65535, not 'many'"),
        ("KEYLIKE_MAX_MEMORY", "1", "must be a whole number of at least 1000000, not '1'"),
        ("KEYLIKE_AGREE", "maybe", "must be true or false, not 'maybe'"),
        ("KEYLIKE_POLICY", "canary-token-0123456789", "must be auto, open, predictions or all"),
    ],
)
def test_bad_value_is_reported_with_the_allowed_values(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value) == f"{name}: {message}"


def test_log_level_in_lower_case_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYLIKE_LOG_LEVEL", "warning")
    assert load_settings().log_level == "WARNING"


def test_env_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"KEYLIKE_PORT=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("KEYLIKE_PORT", "many"), ("KEYLIKE_PORT", "70000"), ("KEYLIKE_LOG_LEVEL", "LOUD")],
)
def test_bad_value_is_reported_in_one_line_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)


def test_repr_and_json_of_settings_contain_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYLIKE_API_KEY", "canary-token-0123456789")
    monkeypatch.setenv("NGROK_TOKEN", "canary-ngrok")
    monkeypatch.setenv("KEYLIKE_REDIS_URL", "redis://:canary-password@127.0.0.1:6379/0")
    settings = load_settings()
    assert settings.token == "canary-token-0123456789"
    assert "canary" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    "url",
    [
        "canary",
        "http://canary",
        "redis://canary:port",
        "unix://:canary@",
        "redis+unix://:canary@",
        "redis://:canary@127.0.0.1/0?no_such_option=1",
    ],
)
def test_invalid_redis_address_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("KEYLIKE_REDIS_URL", url)
    with pytest.raises(
        SettingsError, match=r"KEYLIKE_REDIS_URL: .*not an address of Redis"
    ) as error:
        load_settings()
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("KEYLIKE_API_KEY", "canary", "16 or more plain characters"),
        ("KEYLIKE_API_KEY", "canary-with-ümlaut", "16 or more plain characters"),
        ("KEYLIKE_API_KEY", "aaaaaaaaaaaaaaaa", "too easy to guess"),
        ("KEYLIKE_API_KEY", "passwordpassword", "too easy to guess"),
        ("KEYLIKE_SECRET", "1234567890123456", "too easy to guess"),
        ("KEYLIKE_LIMIT_ADDRESS", "canary", "not limits"),
        ("KEYLIKE_LIMIT_FREE", "10 per fortnight", "not limits"),
        ("KEYLIKE_PROXY", "127.0.0.1, canary", "not addresses"),
        ("KEYLIKE_PROXY", "10.0.0.1/8", "not addresses"),
        ("KEYLIKE_ORIGINS", "app.example.org", "neither"),
        ("KEYLIKE_ORIGINS", "https://app.example.org/page", "neither"),
        # flask-cors would use these values as patterns that match parts of other origins.
        ("KEYLIKE_ORIGINS", "https://*.example.org", "neither"),
        ("KEYLIKE_ORIGINS", "http://[::1", "neither"),
        ("KEYLIKE_ORIGINS", "http://[app]:3000", "neither"),
        ("KEYLIKE_ORIGINS", "http://[::1].example.org", "neither"),
        ("KEYLIKE_ORIGINS", "null", "neither"),
        ("KEYLIKE_ORIGINS", "file://", "neither"),
        ("KEYLIKE_POLICY", "closed", "must be auto, open, predictions or all"),
    ],
)
def test_bad_security_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as error:
        load_settings()
    assert str(error.value).startswith(f"{name}: ") and "canary" not in str(error.value)


def test_every_setting_has_a_description_and_is_in_env_example() -> None:
    example = (Path(__file__).parent.parent / ".env.example").read_text()
    names = [
        field.validation_alias or f"KEYLIKE_{name.upper()}"
        for name, field in Settings.model_fields.items()
    ]
    assert all(f"\n{name}=" in example for name in names)
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("sent", "prefix"), [("/keys", "/keys"), ("keys/", "/keys"), ("/a/b/", "/a/b"), ("/", None)]
)
def test_path_prefix_gets_a_leading_slash_and_no_trailing_slash(
    monkeypatch: pytest.MonkeyPatch, sent: str, prefix: str | None
) -> None:
    monkeypatch.setenv("KEYLIKE_PREFIX", sent)
    assert load_settings().prefix == prefix


@pytest.mark.parametrize("sent", ["//evil.example//x", "/a b", "https://evil.example", "/a?b"])
def test_prefix_that_is_not_a_path_is_refused(monkeypatch: pytest.MonkeyPatch, sent: str) -> None:
    monkeypatch.setenv("KEYLIKE_PREFIX", sent)
    with pytest.raises(SettingsError, match="not a path, such as /keys"):
        load_settings()


def test_tunnel_domain_that_is_not_a_domain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYLIKE_TUNNEL_DOMAIN", "Keys.Example.org")
    assert load_settings().tunnel_domain == "keys.example.org"
    for wrong in (
        "https://keys.example.org",
        "keys",
        "keys.example.org/",
        "keys..example.org",
        "-a.example.org",
        "a b.example.org",
        "1.2.3.4",
    ):
        monkeypatch.setenv("KEYLIKE_TUNNEL_DOMAIN", wrong)
        with pytest.raises(SettingsError, match=r"KEYLIKE_TUNNEL_DOMAIN: .*not a domain"):
            load_settings()


def test_tunnel_is_off_by_default() -> None:
    settings = load_settings()
    assert (settings.tunnel, settings.tunnel_open, settings.tunnel_domain) == (False, False, None)
