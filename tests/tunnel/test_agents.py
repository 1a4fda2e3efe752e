"""ngrok's agent through the real pyngrok, with the stand-in in its place: opened, refused, silent, dead; and what it gets to know."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyngrok import conf

from keylike.tunnel.agents import START_S, Agents
from keylike.tunnel.faults import Fault, TunnelFault
from keylike.tunnel.programs import ngrok_program
from keylike.tunnel.public import answers
from tests.running import Running, until
from tests.tunnel.standin import NGROK_TOKEN, StandIn


class Made:
    """Agents that are closed after the test."""

    def __init__(self) -> None:
        self.all: list[Agents] = []

    def __call__(
        self,
        program: Path | None,
        token: str | None = NGROK_TOKEN,
        domain: str | None = None,
        start_s: float = START_S,
    ) -> Agents:
        """One that has nothing open yet."""
        self.all.append(
            Agents(lambda: program, token, "http://127.0.0.1:9", domain, start_s=start_s)
        )
        return self.all[-1]


@pytest.fixture
def agents() -> Iterator[Made]:
    """Makes them."""
    made = Made()
    yield made
    for each in made.all:
        each.close()


def fault_of(agents: Agents) -> Fault:
    """Why it opens nothing."""
    with pytest.raises(TunnelFault) as caught:
        agents.open()
    return caught.value.fault


def test_it_opens_an_address_and_lists_it_until_its_session_drops(
    standin: StandIn, agents: Made
) -> None:
    one = agents(standin.program)
    agent = one.open()
    assert agent.address.startswith("http://127.0.0.1:") and agent.listed()
    assert standin.seen("endpoint") == [
        {"name": "keylike", "upstream": {"url": "http://127.0.0.1:9"}, "inspect": False}
    ]
    standin.tell(signal.SIGUSR1)
    until(lambda: not agent.listed())
    again = one.open()
    assert again.listed() and not agent.listed() and len(standin.seen("pid")) == 2
    one.close()
    until(standin.gone)


def test_a_domain_of_the_account_is_asked_for(standin: StandIn, agents: Made) -> None:
    agents(standin.program, domain="keys.example.org").open()
    assert standin.seen("endpoint")[0]["url"] == "https://keys.example.org"


def test_the_token_is_in_a_file_for_this_user_alone_and_only_while_it_is_needed(
    standin: StandIn,
    agents: Made,
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
    before = {*_family(os.getpid())}
    agents(standin.program).open()
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
        Path(f"/proc/{each}/cmdline").read_bytes() for each in {*_family(os.getpid())} - before
    ]
    assert len(command_lines) == 2 and not any(
        NGROK_TOKEN.encode() in line for line in command_lines
    )
    assert NGROK_TOKEN not in "".join(capfd.readouterr())


def test_the_agent_keeps_nothing_of_what_passes_and_obeys_nobody_from_outside(
    standin: StandIn, agents: Made
) -> None:
    agents(standin.program).open()
    settings = standin.seen("settings")[0]["agent"]
    assert (
        settings["inspect_db_size"],
        settings["remote_management"],
        settings["update_check"],
    ) == (-1, False, False)
    assert settings["web_addr"].startswith("127.0.0.1:") and not settings["web_addr"].endswith(
        ":4040"
    )


# pyngrok lets go of what ends at once with a pipe that nobody closed.
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
def test_each_refusal_has_its_words_and_leaves_no_agent(
    standin: StandIn,
    agents: Made,
    capfd: pytest.CaptureFixture[str],
    mode: str,
    name: str,
    words: str,
    final: bool,
) -> None:
    standin.misbehave(mode)
    one = agents(
        standin.program, start_s=1.0 if mode in ("offline", "silent", "old", "limit") else START_S
    )
    fault = fault_of(one)
    assert (fault.name, fault.final) == (name, final)
    assert words in fault.saw + fault.advice
    assert NGROK_TOKEN not in fault.saw + fault.advice + "".join(capfd.readouterr())
    until(standin.gone)
    gc.collect()
    standin.misbehave("")
    assert agents(standin.program).open().listed()


def test_an_agent_that_says_nothing_has_its_time_and_no_more(
    standin: StandIn, agents: Made
) -> None:
    """pyngrok's own limit is looked at after each line of the log, and here there is none."""
    standin.misbehave("silent")
    one = agents(standin.program, start_s=0.3)
    before = len(_descriptors())
    for _ in range(3):
        assert fault_of(one).name == "silent"
    assert len(standin.seen("pid")) >= 1 and len(_descriptors()) <= before + 2


def test_without_a_token_or_a_program_nothing_is_started(standin: StandIn, agents: Made) -> None:
    assert fault_of(agents(standin.program, token=None)).name == "no_token"
    missing = fault_of(agents(None))
    assert (
        missing.name == "no_program"
        and "https://ngrok.com/download" in missing.advice
        and missing.final
    )
    assert standin.seen("pid") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_program_that_cannot_be_run(tmp_path: Path, agents: Made) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF no program")
    broken.chmod(0o755)
    assert fault_of(agents(broken)).name in ("broken_program", "silent")
    gc.collect()


def test_a_start_is_ended_when_nobody_wants_it_any_more(standin: StandIn, agents: Made) -> None:
    standin.misbehave("silent")
    one, found = agents(standin.program), []
    thread = threading.Thread(target=lambda: found.append(fault_of(one)))
    thread.start()
    until(lambda: standin.seen("pid") != [])
    one.close()
    thread.join(10)
    assert not thread.is_alive() and standin.gone() and found[0].name == "silent"


def test_an_agent_that_is_stopped_lists_nothing_in_good_time_and_can_be_ended(
    standin: StandIn, agents: Made
) -> None:
    one = agents(standin.program)
    agent = one.open()
    standin.tell(signal.SIGSTOP)
    began = time.monotonic()
    assert not agent.listed()
    assert time.monotonic() - began < 10
    one.close()
    assert standin.gone()


def test_a_stand_in_that_is_up_brings_what_is_asked(standin: StandIn, settings: Any) -> None:
    from tests.fakes import ColourReader

    server = Running(settings, ColourReader())
    one = Agents(
        lambda: standin.program, NGROK_TOKEN, f"http://127.0.0.1:{server.server.port}", None
    )
    try:
        agent = one.open()
        assert answers(agent.address)
        assert not answers("http://127.0.0.1:1")
        standin.tell(signal.SIGUSR1)
        until(lambda: not answers(agent.address))
    finally:
        one.close()
        server.stop()


def test_what_answers_must_be_keylike(standin: StandIn, agents: Made) -> None:
    agent = agents(
        standin.program
    ).open()  # whose upstream is a closed port: a page of ngrok's own comes, in HTML
    assert agent.listed() and not answers(agent.address)


def test_the_program_is_looked_for_on_the_path_and_where_pyngrok_keeps_it(
    standin: StandIn, tmp_path: Path, monkeypatch: Any
) -> None:
    kept = tmp_path / "kept"
    monkeypatch.setattr(conf, "DEFAULT_NGROK_PATH", str(kept / "ngrok"))
    assert ngrok_program(str(tmp_path)) is None
    assert ngrok_program(f"{tmp_path}:{standin.bin}") == standin.program
    kept.mkdir()
    (kept / "ngrok").write_bytes(standin.program.read_bytes())
    assert ngrok_program(str(tmp_path)) is None, "it may not be run"
    (kept / "ngrok").chmod(0o755)
    assert ngrok_program(str(tmp_path)) == kept / "ngrok"


def test_the_script_of_the_same_name_that_pyngrok_brings_along_is_passed_over(
    standin: StandIn, tmp_path: Path
) -> None:
    """It would download the agent, and end without it."""
    wrapper = tmp_path / "venv" / "ngrok"
    wrapper.parent.mkdir()
    wrapper.write_text(
        "#!/usr/bin/python3\nimport re\nimport sys\nfrom pyngrok.ngrok import main\nsys.exit(main())\n"
    )
    wrapper.chmod(0o755)
    assert ngrok_program(f"{wrapper.parent}:{standin.bin}") == standin.program


def _family(pid: int) -> list[int]:
    """The children of a process that are running programs."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in children for child in file.read_text().split()]


def _descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")
