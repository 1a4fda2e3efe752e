"""The servers of the comparison and the commands that start them.

All use the same reader and get the same photos. Each has the settings that are best for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.benchmarks.serving.peers.work import CORES

ROOT = Path(__file__).resolve().parents[3]
KEYLIKE = "Keylike"
# The older guide is an earlier tutorial for a key reading server.
GUIDE = "the older guide's server"
LITSERVE, BENTOML = "LitServe", "BentoML"


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """Server to compare.

    Attributes:
        name: Name in tables and plots.
        setup: Description of how it is set up.
        python: Python interpreter that runs it.
        package: Package whose version is reported.
        command: Arguments of the interpreter. `{port}` and `{folder}` are replaced by the port to
            listen on and a writable folder.
        environment: Environment variables, with the same placeholders.
    """

    name: str
    setup: str
    python: Path
    package: str | None
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def arguments(self, port: int, folder: Path) -> list[str]:
        """Return the command line."""
        return [str(self.python), *(part.format(port=port, folder=folder) for part in self.command)]

    def variables(self, port: int, folder: Path) -> dict[str, str]:
        """Return the environment variables, without inherited Keylike settings."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("KEYLIKE_") and name != "MODEL_PATH"
        }
        own = {
            name: value.format(port=port, folder=folder) for name, value in self.environment.items()
        }
        return {**inherited, "PYTHONPATH": str(ROOT), **own}

    def version(self) -> str:
        """Return the installed version of the package."""
        if self.package is None:
            return ""
        script = f"from importlib.metadata import version; print(version({self.package!r}))"
        return subprocess.run(
            [self.python, "-c", script], check=True, capture_output=True, text=True
        ).stdout.strip()


def server_specs(server: Path, environments: Path) -> list[ServerSpec]:
    """Return all servers.

    Args:
        server: Python interpreter that runs Keylike.
        environments: Folder with one virtual environment per other server.
    """
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
        ServerSpec(
            KEYLIKE,
            "started as `make serve` does",
            server,
            None,
            (str(ROOT / "app.py"),),
            {"KEYLIKE_PORT": "{port}", "KEYLIKE_LOGS": "{folder}"},
        ),
        ServerSpec(
            GUIDE,
            "Flask's development server, one thread per request, full-size decoding",
            server,
            "flask",
            ("-m", f"{peers}.guide", "{port}"),
        ),
        ServerSpec(
            "FastAPI",
            "one uvicorn process with uvloop and httptools; "
            "a plain function in FastAPI's pool of 40 threads",
            fastapi,
            "fastapi",
            uvicorn,
        ),
        ServerSpec(
            f"FastAPI, {CORES} processes",
            f"the same in {CORES} processes, one per core",
            fastapi,
            "fastapi",
            (*uvicorn, "--workers", str(CORES)),
        ),
        ServerSpec(
            LITSERVE,
            f"{CORES} workers and {CORES} HTTP processes, one of each per core; "
            "decoding and reading in the workers (fast_queue was tried and made no difference)",
            environments / "litserve" / "bin" / "python",
            "litserve",
            ("-m", f"{peers}.litserve_app", "{port}"),
        ),
        ServerSpec(
            BENTOML,
            f"{CORES} workers, one per core; no access log",
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
