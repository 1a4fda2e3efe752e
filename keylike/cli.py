"""The command line: `serve` (also without a word), `read`, `evaluate`, `calibrate`, `doctor` and `tokens`; one function a command.

Heavy imports stand inside the commands, so that --help is quick.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from keylike.resources import COMMAND, HOME, SAMPLES
from keylike.settings import Settings, SettingsError, load_settings
from keylike.terminal.cli_errors import exit_on_dataset_error, stop
from keylike.terminal.tokens_command import tokens_cli

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from keylike.access.store import TokenStore
    from keylike.inference import Inference
    from keylike.readers.contract import Reader
    from keylike.readers.loading import ModelSlot
    from keylike.tunnel.watchdog import TunnelStatus

# The embedded reader is ready before the first request is looked at, and a slow load keeps /health/live waiting no longer than this.
HEAD_START_S = 1.0

cli = typer.Typer(
    help="Keylike reads a house key from a photo.",
    pretty_exceptions_enable=False,
    add_completion=False,
)
_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)


_Tunnel = Annotated[
    bool, typer.Option("--tunnel", help="Opens a public address, for a phone, with a QR code.")
]


def main() -> None:
    """Runs the command line."""
    cli(prog_name="keylike")


@cli.callback(invoke_without_command=True)
def without_a_word(context: typer.Context, tunnel: _Tunnel = False) -> None:
    """Serves when no command is given."""
    if context.invoked_subcommand is None:
        serve(tunnel)
    elif tunnel:
        raise stop(f"--tunnel belongs to serve: {COMMAND} {context.invoked_subcommand} has none")


@cli.command()
def serve(tunnel: _Tunnel = False) -> None:
    """Starts the server; settings come from the environment and .env (see .env.example)."""
    from keylike.api.error_handlers import socket_failures
    from keylike.engines.background_load import BackgroundLoad
    from keylike.http_server.hard_exit import end_at_once
    from keylike.observability.logs import make_logger
    from keylike.observability.malloc_tuning import tune_malloc
    from keylike.service import (
        create_app,
        make_server,
        model_slot,
        new_metrics,
        new_traces,
        reading_processes,
        reading_scheduler,
    )
    from keylike.tunnel.watchdog import TunnelStatus

    settings = _settings(tunnel)
    once, standing = _once(settings), TunnelStatus()
    tune_malloc()
    try:
        log = make_logger(settings.logs, settings.log_level)
    except OSError as error:
        raise stop(f"KEYLIKE_LOGS: cannot write to {settings.logs}: {error.strerror}") from None
    processes = reading_processes(settings)
    model = model_slot(settings, log, processes)
    draining = threading.Event()
    scheduler = reading_scheduler(settings, model)
    metrics, traces = new_metrics(), new_traces(settings, scheduler, log)
    app = create_app(
        settings,
        model=model,
        log=log,
        scheduler=scheduler,
        metrics=metrics,
        traces=traces,
        draining=draining.is_set,
        standing=standing,
        once=once,
    )
    try:
        failure = socket_failures(time.time, log, metrics.record_refusal)
        server = make_server(app, settings, scheduler, failure=failure, draining=draining)
    except OSError as error:
        raise stop(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; set KEYLIKE_HOST or KEYLIKE_PORT"
        ) from None
    server.install_signal_handlers()
    _greet(settings, server.port)
    load = BackgroundLoad(model.load, done=lambda: _tell_ready(settings, model), failed=server.stop)
    with load as loading, _tunnel(settings, server.port, once, standing, draining, log):
        loading.wait(HEAD_START_S)
        server.run()
        over = scheduler.close()
        processes.close()
        if traces:
            traces.close()
        if loading.failure is None:
            _out.print("Stopped.")
        if not over:
            end_at_once(0)
    if loading.failure is not None:
        raise stop(f"{settings.model_folder}: {loading.failure}")


@cli.command()
def read(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO…", help="Photos of keys.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each photo.")
    ] = False,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Draw outline, cut lines and depths onto the photo, into this file."),
    ] = None,
    zipcode: Annotated[
        str, typer.Option(help="Five digits, for the rough market figures.")
    ] = "00000",
) -> None:
    """Reads the key in each photo; ends with 1 if any of them could not be read."""
    from keylike.terminal.photos import show

    raise typer.Exit(
        0
        if show(_out, lambda: _inference(_settings()), photos, zipcode, overlay, as_json=as_json)
        else 1
    )


@cli.command()
def evaluate(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="Each holds labels.jsonl and images/.")
    ],
    misses: Annotated[
        bool, typer.Option(help="A line for each photo that was not read right.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option("--report", help="An HTML page of it all, with codes and the worst photos."),
    ] = None,
) -> None:
    """Scores the reader on labelled photos: a table by tier and keyway, and one line of JSON at the end."""
    from keylike.terminal.scoring import score

    score(_out, lambda: _reader(_settings()), folders, page, misses=misses)


@cli.command()
def calibrate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds labels.jsonl and images/.")],
) -> None:
    """Fits the confidence of the Gemma model that MODEL_PATH names on labelled photos, and writes it into the model's manifest."""
    from keylike.readers.evaluation import shots
    from keylike.readers.gemma.calibrate import Hearing, calibrate

    settings = _settings()
    with exit_on_dataset_error():
        labelled = shots(folder)
        reader = _reader(settings.model_copy(update={"strict": True, "agree": False}))
        if not isinstance(reader, Hearing):
            raise stop(
                "MODEL_PATH names no Gemma model: the caliper's calibration is part of its training (make train)"
            )
        beside = (
            _reader(
                settings.model_copy(update={"model_path": None, "strict": True, "agree": False})
            )
            if settings.agree
            else None
        )
        done = calibrate(
            reader,
            settings.model_folder,
            labelled,
            beside=beside,
            models=settings.models,
            show=lambda groups: track(groups, "Reading", console=_err),
        )
    _out.print(done.table())
    _out.print("\n".join(done.lines()), markup=False)
    print(json.dumps(done.to_dict()))


@cli.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Checks what Keylike needs and says what to do about each fault; ends with 1 if there is any."""
    from keylike.access.policy import Policy
    from keylike.doctor.checkup import Subject, examine
    from keylike.readers import loading as model_loader
    from keylike.readers.loading import Choices
    from keylike.service import policy_of
    from keylike.terminal import tables

    fault = None
    try:
        settings = load_settings()
    except SettingsError as error:
        settings, fault = Settings.model_construct(), str(error)
    subject = Subject(
        settings_fault=fault,
        home=HOME,
        model=settings.model_folder,
        embedded=settings.models / "caliper",
        base_model=settings.base_model,
        models=settings.models,
        logs=settings.logs,
        strict=settings.strict,
        backend=settings.backend,
        photos=settings.max_memory * (settings.processes or settings.threads),
        host=settings.host,
        port=settings.port,
        guarded=policy_of(settings) is not Policy.OPEN,
        tokens=_any_token(settings),
        tunnel=settings.tunnel,
        no_tunnel=_why_not_public(settings),
        ngrok_token=settings.ngrok_token.get_secret_value() if settings.ngrok_token else None,
    )
    with _err.status("Checking ..."):
        findings = examine(
            subject,
            lambda folder: model_loader.look(folder, Choices(settings.models, settings.base_model)),
        )
    raise typer.Exit(tables.print_checks(_out, findings, as_json=as_json))


def _settings(tunnel: bool = False) -> Settings:
    """Those of the environment, with a tunnel where the option says so."""
    try:
        settings = load_settings()
    except SettingsError as error:
        raise stop(str(error)) from None
    return settings.model_copy(update={"tunnel": settings.tunnel or tunnel})


def _token_store() -> TokenStore:
    from keylike.access.store import TokenStore

    return TokenStore(_settings().tokens, time.time)


def _any_token(settings: Settings) -> bool | None:
    """Whether there is a token that passes; None where that cannot be told."""
    from keylike.access.tokens import TokensUnreadable
    from keylike.service import credentials

    try:
        return credentials(settings).any()
    except TokensUnreadable:
        return None


cli.add_typer(tokens_cli(_token_store), name="tokens")


def _greet(settings: Settings, port: int) -> None:
    from keylike.access.policy import Policy
    from keylike.service import policy_of
    from keylike.terminal.greeting import address_of, first_sample, greeting

    model, spare = (
        settings.model_folder.resolve(),
        settings.ngrok_token is not None and not settings.tunnel,
    )
    embedded = model == (settings.models / "caliper").resolve() and not settings.agree
    token: str | None = ""
    if policy_of(settings) is not Policy.OPEN:
        token = "KEYLIKE_API_KEY" if settings.token else "TOKEN" if _any_token(settings) else None
    at, sample = address_of(settings.host, port), first_sample(SAMPLES)
    _tell(
        *greeting(
            at,
            model.name,
            sample,
            embedded=embedded,
            token=token,
            tunnel=settings.tunnel,
            spare=spare,
        )
    )


def _once(settings: Settings) -> str | None:
    """A token for this run, where a tunnel brings callers who need one and there is none. Ends the command where none may be opened."""
    from keylike.access.policy import Policy
    from keylike.access.tokens import generate_secret
    from keylike.service import policy_of

    reason = _why_not_public(settings)
    if settings.tunnel and reason:
        raise stop(reason)
    return (
        generate_secret()
        if settings.tunnel and policy_of(settings) is not Policy.OPEN and not _any_token(settings)
        else None
    )


def _why_not_public(settings: Settings) -> str | None:
    from keylike.access.addresses import is_local_host
    from keylike.access.policy import tunnel_refusal

    return tunnel_refusal(
        settings.policy, loopback=is_local_host(settings.host), open_allowed=settings.tunnel_open
    )


def _tunnel(
    settings: Settings,
    port: int,
    once: str | None,
    standing: TunnelStatus,
    over: threading.Event,
    log: BoundLogger,
) -> AbstractContextManager[None]:
    """Open in here, where the settings want one; the server need not know."""
    if not settings.tunnel:
        return nullcontext()
    from keylike.terminal.greeting import address_of, first_sample
    from keylike.terminal.tunnel_console import TunnelConsole

    local, sample = address_of(settings.host, port), first_sample(SAMPLES)
    token = settings.ngrok_token.get_secret_value() if settings.ngrok_token else None
    return TunnelConsole(_out, log, local=local, token=once, sample=sample).open_tunnel(
        token, settings.tunnel_domain, standing, over
    )


def _tell_ready(settings: Settings, model: ModelSlot) -> None:
    degraded = f"Degraded: only {model.name} reads. {settings.model_folder}: {model.reason}"
    _tell(f"Ready: {model.name} reads." if model.reason is None else degraded)


def _tell(*lines: str) -> None:
    for line in lines:
        _out.print(line, markup=False)
    sys.stdout.flush()


def _reader(settings: Settings) -> Reader:
    from keylike.images.libraries import configure_image_libraries
    from keylike.readers.loading import why
    from keylike.service import chosen_reader

    configure_image_libraries()
    try:
        return chosen_reader(settings)
    except Exception as error:
        raise stop(f"{settings.model_folder}: {why(error)}") from None


def _inference(settings: Settings) -> Inference:
    from keylike.inference import Inference
    from keylike.scheduling.scheduler import Scheduler
    from keylike.service import picture_limits

    reader = _reader(settings)
    return Inference(
        Scheduler(lambda: reader, queue=1, threads=1), picture_limits(settings), time.perf_counter
    )
