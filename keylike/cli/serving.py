"""The `serve` command: starts the service and prints its address, its model and its state."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, closing, nullcontext
from typing import IO, cast

from rich.console import Console

from keylike.access.policy import Policy
from keylike.access.tokens import generate_secret
from keylike.cli.from_settings import any_token, why_not_public
from keylike.configuration import policy_of
from keylike.doctor.network import AIRPLAY, used_by_macos
from keylike.engines.background_load import BackgroundLoad
from keylike.http_server.hard_exit import hard_exit
from keylike.observability.malloc_tuning import tune_malloc
from keylike.resources import SAMPLES
from keylike.service import Service
from keylike.settings import Settings
from keylike.terminal.cli_errors import stop
from keylike.terminal.greeting import Greeting, address_of, first_sample
from keylike.terminal.standard_streams import BackgroundStream
from keylike.terminal.tunnel_console import TunnelConsole

# Seconds to wait for the model before the address is printed. The embedded reader loads in less
# time, so the server is then ready. A slower model goes on loading while the server answers
# /health/live.
HEAD_START_S = 1.0


def serve_until_stopped(settings: Settings) -> None:
    """Serve until a signal arrives.

    If the server cannot start, or the model cannot be loaded and no other may replace it, print the
    reason and exit.
    """
    one_time_token = _one_time_token(settings)
    tune_malloc()
    try:
        service = Service(settings, one_time_token=one_time_token)
    except OSError as error:
        raise stop(f"KEYLIKE_LOGS: cannot write to {settings.logs}: {error.strerror}") from None
    with service, closing(BackgroundStream()) as stream:
        out = Console(file=cast(IO[str], stream), soft_wrap=True, highlight=False)
        try:
            server = service.listen()
        except OSError as error:
            raise stop(_why_not_listening(settings, error)) from None
        server.install_signal_handlers()
        announcement = _Announcement(out, service, server.port)
        load = BackgroundLoad(service.load, done=announcement.loaded, failed=server.stop)
        with load:
            load.wait(HEAD_START_S)
            if load.failure is None:
                announcement.serving()
            with _tunnel(out, service, server.port, one_time_token):
                server.run()
                announcement.end()
                failure = load.failure
                finished = service.close() and not load.is_running
                if failure is None:
                    out.print("Stopped.")
                if not finished:
                    stream.close()
                    hard_exit(0)
    if failure is not None:
        raise stop(f"{settings.model_folder}: {failure}")


class _Announcement:
    """Printer of the server's address and, once the model is loaded, of its name and an example."""

    def __init__(self, out: Console, service: Service, port: int) -> None:
        self._out = out
        self._service = service
        self._greeting = _greeting(service.settings, port)
        self._lock = threading.Lock()
        self._is_loaded = False
        self._is_serving = False

    def serving(self) -> None:
        """Print the address. Print the model and the example too if the model is loaded."""
        with self._lock:
            self._is_serving = True
            self._print(*self._greeting.serving(loading=not self._is_loaded))
            if self._is_loaded:
                self._print_loaded()

    def loaded(self) -> None:
        """Print the model and an example command, now or after the address."""
        with self._lock:
            self._is_loaded = True
            if self._is_serving:
                self._print_loaded()

    def end(self) -> None:
        """Print nothing more, even if the model finishes loading while the server stops."""
        with self._lock:
            self._is_serving = False

    def _print_loaded(self) -> None:
        engines = self._service.engines
        folder = self._service.settings.model_folder
        if engines.reason is None:
            self._print(f"Ready: {engines.name} reads.")
        else:
            self._print(f"Degraded: only {engines.name} reads. {folder}: {engines.reason}")
        self._print(*self._greeting.try_it(degraded=engines.reason is not None))

    def _print(self, *lines: str) -> None:
        for line in lines:
            self._out.print(line, markup=False)


def _greeting(settings: Settings, port: int) -> Greeting:
    model = settings.model_folder.resolve()
    embedded = model == (settings.models / "caliper").resolve() and not settings.agree
    token: str | None = ""
    if policy_of(settings) is not Policy.OPEN:
        token = "KEYLIKE_API_KEY" if settings.token else "TOKEN" if any_token(settings) else None
    return Greeting(
        address=address_of(settings.host, port),
        model=model.name,
        sample=first_sample(SAMPLES),
        embedded=embedded,
        token=token,
        tunnel=settings.tunnel,
        spare=settings.ngrok_token is not None and not settings.tunnel,
    )


def _why_not_listening(settings: Settings, error: OSError) -> str:
    if settings.host.startswith("unix:"):
        return f"cannot listen on {settings.host}: {error.strerror}"
    advice = "choose another address with --host or another port with --port"
    if used_by_macos(settings.port):
        advice = f"{AIRPLAY}, or {advice}"
    return f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; {advice}"


def _one_time_token(settings: Settings) -> str | None:
    """Return a token for this run if the clients of a tunnel need one and there is none.

    If a tunnel is wanted but not allowed, print the reason and exit.
    """
    reason = why_not_public(settings)
    if settings.tunnel and reason:
        raise stop(reason)
    needed = settings.tunnel and policy_of(settings) is not Policy.OPEN
    return generate_secret() if needed and not any_token(settings) else None


def _tunnel(
    out: Console, service: Service, port: int, one_time_token: str | None
) -> AbstractContextManager[None]:
    """Return a context manager that opens the tunnel, or does nothing if none is configured."""
    settings = service.settings
    if not settings.tunnel:
        return nullcontext()
    console = TunnelConsole(
        out,
        service.log,
        local=address_of(settings.host, port),
        token=one_time_token,
        sample=first_sample(SAMPLES),
    )
    ngrok_token = settings.ngrok_token.get_secret_value() if settings.ngrok_token else None
    return console.open_tunnel(
        ngrok_token, settings.tunnel_domain, service.tunnel, service.draining
    )
