"""Tests of the wheel: after its installation, `keylike` works without a checkout."""

from __future__ import annotations

import configparser
import email
import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.test_locks import DIRECT, EXTRAS, ROOT

pytestmark = pytest.mark.skipif(
    find_spec("hatchling") is None, reason="hatchling is not installed; make test installs it"
)
SAMPLE = ROOT / "samples" / "sc1_01.jpg"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel offline, with the build backend of this environment, and return its path."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=120)
    (built,) = folder.glob("keylike-*-py3-none-any.whl")
    return built


@dataclass(frozen=True)
class Installation:
    """An environment with the installed wheel, a working directory, and a folder for its data."""

    environment: Path
    work: Path
    state: Path

    @property
    def site(self) -> Path:
        """Return the site-packages folder."""
        (folder,) = self.environment.glob("lib/python*/site-packages")
        return folder

    @property
    def variables(self) -> dict[str, str]:
        """Return environment variables without settings and without paths of the checkout."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.work),
            "XDG_STATE_HOME": str(self.state),
            "ORT_DISABLE_TELEMETRY": "1",
            "KEYLIKE_PORT": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of the installed command `keylike`."""
        return [str(self.environment / "bin" / "keylike"), *arguments]

    def run(self, *command: str) -> str:
        """Run a command in the working directory and return its output."""
        done = subprocess.run(
            command, cwd=self.work, env=self.variables, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def serve(self, **settings: str) -> Iterator[str]:
        """Start `keylike serve` and yield its output until it is ready. Stop it afterwards."""
        with subprocess.Popen(
            self.command("serve"),
            cwd=self.work,
            env=self.variables | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as server:
            try:
                assert server.stdout is not None
                lines = []
                for line in server.stdout:
                    lines.append(line)
                    if line.startswith("It should read"):
                        break
                yield "".join(lines)
                server.send_signal(signal.SIGTERM)
                assert server.wait(20) == 0
            finally:
                server.kill()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install the wheel into a new environment, with the dependencies of this one."""
    home = tmp_path_factory.mktemp("installed")
    made = Installation(home / "venv", home / "work", home / "state")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made.environment], check=True)
    command = [sys.executable, "-m", "pip", "--python", str(made.environment / "bin" / "python")]
    command += ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, timeout=120)
    shared = [path for path in sys.path if Path(path).name == "site-packages"]
    (made.site / "shared.pth").write_text("\n".join(shared))
    made.work.mkdir()
    return made


def test_wheel_contains_model_page_and_sample_but_no_root_modules(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for source in [*(ROOT / "models" / "caliper").iterdir(), SAMPLE, ROOT / "requirements.txt"]:
            path = f"keylike/data/{source.relative_to(ROOT).as_posix()}"
            assert archive.read(path) == source.read_bytes()
    assert {"keylike/web/index.html", "keylike/web/sw.js", "keylike/keys/keyways.toml"} <= {*names}
    assert {name.partition("/")[0] for name in names} == {"keylike", "keylike-2.0.0.dist-info"}


def test_wheel_metadata_has_the_dependencies_and_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read("keylike-2.0.0.dist-info/METADATA"))
        scripts = configparser.ConfigParser()
        scripts.read_string(archive.read("keylike-2.0.0.dist-info/entry_points.txt").decode())
    assert scripts["console_scripts"]["keylike"] == "keylike.__main__:main"
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    assert sorted(str(each) for each in requirements if each.marker is None) == sorted(
        str(Requirement(line)) for line in DIRECT
    )
    assert set(metadata.get_all("Provides-Extra", [])) == set(EXTRAS)


@pytest.mark.parametrize("start", [["keylike"], ["python", "-m", "keylike"]])
def test_installed_command_reads_a_photo_from_another_folder(
    installed: Installation, start: list[str]
) -> None:
    program, *rest = start
    output = installed.run(
        str(installed.environment / "bin" / program), *rest, "read", "--json", str(SAMPLE)
    )
    answer = json.loads(output)
    assert (answer["keyway"], answer["bitting"]) == ("SC1", "5,0,6,8,3")


@pytest.mark.parametrize("processes", ["0", "1"])
def test_installed_server_reads_the_photo_of_its_start_message(
    installed: Installation, processes: str
) -> None:
    with installed.serve(KEYLIKE_PROCESSES=processes) as output:
        assert "It should read SC1 5,0,6,8,3" in output
        _, arguments = re.search(r"Try it:  (curl )(.+)", output).groups()  # type: ignore[union-attr]
        field, address = shlex.split(arguments)[-2:]
        photo = Path(field.removeprefix("image=@"))
        assert photo.is_relative_to(installed.site)
        connection = http.client.HTTPConnection(
            address.removeprefix("http://").rstrip("/"), timeout=30
        )
        connection.request("POST", "/", photo.read_bytes(), {"Content-Type": "image/jpeg"})
        answer = json.loads(connection.getresponse().read())
        assert (answer["keyway"], answer["bitting"]) == ("SC1", "5,0,6,8,3")
        connection.request("GET", "/", headers={"Accept": "text/html"})
        assert b"<!doctype html>" in connection.getresponse().read().lower()
        connection.close()


def test_installed_server_writes_only_to_the_state_folder(
    installed: Installation, tmp_path: Path
) -> None:
    def files() -> set[Path]:
        return {path for path in installed.site.rglob("*") if "__pycache__" not in path.parts}

    fresh, before = replace(installed, state=tmp_path / "state"), files()
    fresh.run(*fresh.command("tokens", "new", "phone"))
    with fresh.serve():
        pass
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {Path("state/keylike/logs/api.log"), Path("state/keylike/tokens.sqlite3")}
    assert files() == before and list(installed.work.iterdir()) == []


def test_installed_doctor_finds_packages_and_model(installed: Installation) -> None:
    report = json.loads(installed.run(*installed.command("doctor", "--json")))
    states = {finding["name"]: finding["state"] for finding in report["findings"]}
    assert (states["packages"], states["embedded reader"]) == ("ok", "ok")
