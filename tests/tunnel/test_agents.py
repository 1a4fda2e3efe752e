"""Tests of the ngrok launcher with the real pyngrok and a fake agent."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyngrok import conf

from keylike.tunnel.agents import START_S, NgrokLauncher
from keylike.tunnel.faults import Fault, TunnelFault
from keylike.tunnel.ngrok_binary import find_ngrok
from keylike.tunnel.session import is_alive
from tests.running import Running, until
from tests.tunnel.standin import NGROK_TOKEN, StandIn


class LauncherFactory:
    """A factory of launchers. They are closed after the test."""

    def __init__(self) -> None:
        self.all: list[NgrokLauncher] = []

    def __call__(
        self,
        program: Path | None,
        token: str | None = NGROK_TOKEN,
        domain: str | None = None,
        start_s: float = START_S,
    ) -> NgrokLauncher:
        """Return a launcher that has opened nothing yet."""
        self.all.append(
            NgrokLauncher(lambda: program, token, "http://127.0.0.1:9", domain, start_s=start_s)
        )
        return self.all[-1]


@pytest.fixture
def make_launcher() -> Iterator[LauncherFactory]:
    """Return a factory of launchers."""
    factory = LauncherFactory()
    yield factory
    for each in factory.all:
        each.close()


def fault_of(launcher: NgrokLauncher) -> Fault:
    """Open a tunnel, which must fail, and return the fault."""
    with pytest.raises(TunnelFault) as caught:
        launcher.open()
    return caught.value.fault


def test_agent_lists_the_public_address_until_its_session_drops(
    standin: StandIn, make_launcher: LauncherFactory
) -> None:
    one = make_launcher(standin.program)
    agent = one.open()
    assert agent.address.startswith("http://127.0.0.1:") and agent.lists_address()
    assert standin.seen("endpoint") == [
        {"name": "keylike", "upstream": {"url": "http://127.0.0.1:9"}, "inspect": False}
    ]
    standin.send_signal(signal.SIGUSR1)
    until(lambda: not agent.lists_address())
    again = one.open()
    assert again.lists_address() and not agent.lists_address() and len(standin.seen("pid")) == 2
    one.close()
    until(standin.gone)


def test_launcher_requests_the_configured_domain(
    standin: StandIn, make_launcher: LauncherFactory
) -> None:
    make_launcher(standin.program, domain="keys.example.org").open()
    assert standin.seen("endpoint")[0]["url"] == "https://keys.example.org"


def test_launcher_passes_the_token_in_a_private_temporary_file(
    standin: StandIn,
    make_launcher: LauncherFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secrets = {
        "NGROK_TOKEN": NGROK_TOKEN,
        "NGROK_AUTHTOKEN": NGROK_TOKEN,
        "KEYLIKE_API_KEY": "canary-api-key-0123",
        "AWS_SECRET": "canary",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    before = {*_children(os.getpid())}
    make_launcher(standin.program).open()
    argv, environ, settings, modes = (
        standin.seen(what)[0] for what in ("argv", "environ", "settings", "modes")
    )
    assert settings["agent"]["authtoken"] == NGROK_TOKEN and modes == ["0o600", "0o700"]
    file = Path(argv[argv.index("--config") + 1])
    assert not file.exists() and not any(
        NGROK_TOKEN.encode() in each.read_bytes() for each in file.parent.iterdir()
    )
    assert argv == ["start", "--none", "--log", "stdout", "--config", str(file)]
    assert not {*secrets} & {*environ} and "canary" not in json.dumps(environ)
    assert environ["https_proxy"] == "http://proxy.example:3128" and environ["PATH"]
    command_lines = [
        Path(f"/proc/{each}/cmdline").read_bytes() for each in {*_children(os.getpid())} - before
    ]
    assert len(command_lines) == 2 and not any(
        NGROK_TOKEN.encode() in line for line in command_lines
    )
    assert NGROK_TOKEN not in "".join(capfd.readouterr())


def test_agent_configuration_forbids_inspection_and_remote_control(
    standin: StandIn, make_launcher: LauncherFactory
) -> None:
    make_launcher(standin.program).open()
    settings = standin.seen("settings")[0]["agent"]
    assert (
        settings["inspect_db_size"],
        settings["remote_management"],
        settings["update_check"],
    ) == (-1, False, False)
    assert settings["web_addr"].startswith("127.0.0.1:") and not settings["web_addr"].endswith(
        ":4040"
    )


# pyngrok does not close the pipe of an agent that ends at once.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("mode", "name", "words", "final"),
    [
        ("no_token", "no_token", "NGROK_TOKEN", True),
        ("bad_token", "bad_token", "NGROK_TOKEN", True),
        ("limit", "too_many_agents", "/agents", False),
        ("taken", "address_taken", "/endpoints", False),
        ("domain", "bad_domain", "KEYLIKE_TUNNEL_DOMAIN", True),
        ("new", "refused", "errors/err_ngrok_9999", False),
        ("offline", "no_network", "online", False),
        ("dies", "silent", "online", False),
        ("silent", "silent", "online", False),
        ("old", "too_old", "ngrok update", False),
    ],
)
def test_fault_of_a_tunnel_names_the_next_step_and_leaves_no_agent(
    standin: StandIn,
    make_launcher: LauncherFactory,
    capfd: pytest.CaptureFixture[str],
    mode: str,
    name: str,
    words: str,
    final: bool,
) -> None:
    standin.misbehave(mode)
    one = make_launcher(
        standin.program, start_s=1.0 if mode in ("offline", "silent", "old", "limit") else START_S
    )
    fault = fault_of(one)
    assert (fault.name, fault.final) == (name, final)
    assert words in fault.message + fault.advice
    assert NGROK_TOKEN not in fault.message + fault.advice + "".join(capfd.readouterr())
    until(standin.gone)
    gc.collect()
    standin.misbehave("")
    assert make_launcher(standin.program).open().lists_address()


def test_agent_that_logs_nothing_is_ended_after_a_timeout(
    standin: StandIn, make_launcher: LauncherFactory
) -> None:
    """Start an agent that logs nothing. pyngrok checks its own timeout only after a log line."""
    standin.misbehave("silent")
    one = make_launcher(standin.program, start_s=0.3)
    before = len(_descriptors())
    for _ in range(3):
        assert fault_of(one).name == "silent"
    assert len(standin.seen("pid")) >= 1 and len(_descriptors()) <= before + 2


def test_launcher_without_a_token_or_program_starts_no_agent(
    standin: StandIn, make_launcher: LauncherFactory
) -> None:
    assert fault_of(make_launcher(standin.program, token=None)).name == "no_token"
    missing = fault_of(make_launcher(None))
    assert (
        missing.name == "no_program"
        and "https://ngrok.com/download" in missing.advice
        and missing.final
    )
    assert standin.seen("pid") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_launcher_reports_a_fault_if_the_program_cannot_run(
    tmp_path: Path, make_launcher: LauncherFactory
) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF no program")
    broken.chmod(0o755)
    assert fault_of(make_launcher(broken)).name in ("broken_program", "silent")
    gc.collect()


def test_closing_the_launcher_ends_an_agent_that_is_still_starting(
    standin: StandIn, make_launcher: LauncherFactory
) -> None:
    standin.misbehave("silent")
    one, found = make_launcher(standin.program), []
    thread = threading.Thread(target=lambda: found.append(fault_of(one)))
    thread.start()
    until(lambda: standin.seen("pid") != [])
    one.close()
    thread.join(10)
    assert not thread.is_alive() and standin.gone() and found[0].name == "silent"


def test_agent_that_is_stopped_lists_nothing_and_can_be_ended(
    standin: StandIn, make_launcher: LauncherFactory
) -> None:
    one = make_launcher(standin.program)
    agent = one.open()
    standin.send_signal(signal.SIGSTOP)
    assert not agent.lists_address()
    one.close()
    assert standin.gone()


def test_is_alive_is_true_until_the_session_of_the_agent_drops(
    standin: StandIn, settings: Any
) -> None:
    from tests.fakes import ColourReader

    server = Running(settings, ColourReader())
    one = NgrokLauncher(
        lambda: standin.program, NGROK_TOKEN, f"http://127.0.0.1:{server.server.port}", None
    )
    try:
        agent = one.open()
        assert is_alive(agent.address)
        assert not is_alive("http://127.0.0.1:1")
        standin.send_signal(signal.SIGUSR1)
        until(lambda: not is_alive(agent.address))
    finally:
        one.close()
        server.stop()


def test_is_alive_is_false_for_a_page_that_is_not_keylike(
    standin: StandIn, make_launcher: LauncherFactory
) -> None:
    agent = make_launcher(
        standin.program
    ).open()  # the local port is closed, so ngrok responds with an HTML page of its own
    assert agent.lists_address() and not is_alive(agent.address)


def test_find_ngrok_searches_path_and_the_download_folder_of_pyngrok(
    standin: StandIn, tmp_path: Path, monkeypatch: Any
) -> None:
    kept = tmp_path / "kept"
    monkeypatch.setattr(conf, "DEFAULT_NGROK_PATH", str(kept / "ngrok"))
    assert find_ngrok(str(tmp_path)) is None
    assert find_ngrok(f"{tmp_path}:{standin.bin}") == standin.program
    kept.mkdir()
    (kept / "ngrok").write_bytes(standin.program.read_bytes())
    assert find_ngrok(str(tmp_path)) is None, "a file that is not executable must not be found"
    (kept / "ngrok").chmod(0o755)
    assert find_ngrok(str(tmp_path)) == kept / "ngrok"


def test_find_ngrok_skips_the_wrapper_script_of_pyngrok(standin: StandIn, tmp_path: Path) -> None:
    """Put pyngrok's script `ngrok` into PATH. It would download an agent, so it is not used."""
    wrapper = tmp_path / "venv" / "ngrok"
    wrapper.parent.mkdir()
    wrapper.write_text(
        "#!/usr/bin/python3\nimport re\nimport sys\nfrom pyngrok.ngrok import "
        "main\nsys.exit(main())\n"
    )
    wrapper.chmod(0o755)
    assert find_ngrok(f"{wrapper.parent}:{standin.bin}") == standin.program


def _children(pid: int) -> list[int]:
    """Return the child processes of `pid`."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in children for child in file.read_text().split()]


def _descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")
