"""Who takes part in the race, and how each is started: the same reader, decoding and photos, each with the settings that suit it best."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.benchmarks.serving.peers.work import CORES

ROOT = Path(__file__).resolve().parents[3]
KEYLIKE = "Keylike"
GUIDE = "the guide's way"
LITSERVE, BENTOML = "LitServe", "BentoML"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to serve: the command that starts it, {port} standing for where it is to listen and {folder} for where it may write;
    the Python that runs it and the package whose version counts; `how` says in words what it does."""

    name: str
    how: str
    python: Path
    package: str | None
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def arguments(self, port: int, folder: Path) -> list[str]:
        """What to run."""
        return [str(self.python), *(part.format(port=port, folder=folder) for part in self.command)]

    def variables(self, port: int, folder: Path) -> dict[str, str]:
        """The environment: that of the race without anybody's settings of the server."""
        mine = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("KEYLIKE_") and name != "MODEL_PATH"
        }
        own = {
            name: value.format(port=port, folder=folder) for name, value in self.environment.items()
        }
        return {**mine, "PYTHONPATH": str(ROOT), **own}

    def version(self) -> str:
        """Of its package, as it is installed."""
        if self.package is None:
            return ""
        ask = f"from importlib.metadata import version; print(version({self.package!r}))"
        return subprocess.run(
            [self.python, "-c", ask], check=True, capture_output=True, text=True
        ).stdout.strip()


def contenders(server: Path, environments: Path) -> list[Contender]:
    """All of them; `server` is the Python of Keylike, and each of the others has a folder of its own in `environments`."""
    peers = "tools.benchmarks.serving.peers"
    uvicorn = (
        "-m",
        "uvicorn",
        f"{peers}.fastapi_app:app",
        "--port",
        "{port}",
        "--log-level",
        "warning",
        "--no-access-log",
    )
    fastapi = environments / "fastapi" / "bin" / "python"
    return [
        Contender(
            KEYLIKE,
            "as `make serve` starts it",
            server,
            None,
            (str(ROOT / "app.py"),),
            {"KEYLIKE_PORT": "{port}", "KEYLIKE_LOGS": "{folder}"},
        ),
        Contender(
            GUIDE,
            "Flask's own server, a thread a request, the picture decoded in full and then made smaller",
            server,
            "flask",
            ("-m", f"{peers}.guide", "{port}"),
        ),
        Contender(
            "FastAPI",
            "uvicorn with uvloop and httptools in one process, a plain function in FastAPI's pool of 40 threads",
            fastapi,
            "fastapi",
            uvicorn,
        ),
        Contender(
            f"FastAPI, {CORES} processes",
            f"the same in {CORES} processes, as many as there are cores",
            fastapi,
            "fastapi",
            (*uvicorn, "--workers", str(CORES)),
        ),
        Contender(
            LITSERVE,
            f"{CORES} workers and {CORES} processes for HTTP, as many as there are cores; decoding and reading in the workers; "
            "its fast_queue was tried and cost as much",
            environments / "litserve" / "bin" / "python",
            "litserve",
            ("-m", f"{peers}.litserve_app", "{port}"),
        ),
        Contender(
            BENTOML,
            f"{CORES} workers, as many as there are cores; no log line a request",
            environments / "bentoml" / "bin" / "python",
            "bentoml",
            (
                "-m",
                "bentoml",
                "serve",
                f"{peers}.bentoml_app:Keys",
                "--port",
                "{port}",
                "--host",
                "127.0.0.1",
            ),
            {"BENTOML_HOME": "{folder}", "BENTOML_DO_NOT_TRACK": "True"},
        ),
    ]
