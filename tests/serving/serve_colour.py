"""A whole server process with the colour reader: prints its port, serves until a signal, then prints its peak memory in MB."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from app import body_limit, create_app
from config import Settings
from model_loader import ModelSlot
from serving.server import Binding, Server
from tests.fakes import colour_reader
from utils.error_handlers import socket_failure


def main() -> None:
    """Serves with logs in the folder named first."""
    settings = Settings(logs=Path(sys.argv[1]))
    model = ModelSlot(colour_reader)
    model.load()
    draining = threading.Event()
    app = create_app(settings, model=model, draining=draining.is_set)
    binding = Binding("127.0.0.1", 0, 2, body_limit(settings))
    server = Server(app, binding, failure=lambda status: socket_failure(status, time.time()), draining=draining)
    server.stop_on_signals()
    print(server.port, flush=True)
    server.run()
    print(peak_mb(), flush=True)


def peak_mb() -> int:
    """Most memory held at once; the kernel's own mark, since getrusage also counts the process that started this one."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    main()
