"""The command line: `serve` (also without a word), `read`, `evaluate`, `calibrate`, `doctor` and `tokens`; one function a command.

Heavy imports stand inside the commands, so that --help is quick.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from config import Settings, SettingsError, load_settings
from terminal.mistakes import labelled_photos, say, stop, write
from terminal.tokens_command import tokens_cli
from utils.errors import KeylikeError

if TYPE_CHECKING:
    from access.store import TokenStore
    from inference_handler import Inference
    from model_loader import ModelSlot
    from readers.contract import Reader

SAMPLES = Path(__file__).resolve().parent / "samples"
# The embedded reader is ready before the first request is looked at, and a slow load keeps /health/live waiting no longer than this.
HEAD_START_S = 1.0

cli = typer.Typer(help="Keylike reads a house key from a photo.", pretty_exceptions_enable=False, add_completion=False)
_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)


def main() -> None:
    """Runs the command line."""
    cli(prog_name="keylike")


@cli.callback(invoke_without_command=True)
def without_a_word(context: typer.Context) -> None:
    """Serves when no command is given."""
    if context.invoked_subcommand is None:
        serve()


@cli.command()
def serve() -> None:
    """Starts the server; settings come from the environment and .env (see .env.example)."""
    from app import create_app, make_server, model_slot, new_metrics, new_traces, reading_processes, reading_scheduler
    from serving.ending import end_at_once
    from serving.loading import Loading
    from serving.memory import keep_freed_blocks
    from utils.error_handlers import socket_failures
    from utils.logs import make_logger

    settings = _settings()
    keep_freed_blocks()
    try:
        log = make_logger(settings.logs, settings.log_level)
    except OSError as error:
        raise stop(f"KEYLIKE_LOGS: cannot write to {settings.logs}: {error.strerror}") from None
    processes = reading_processes(settings)
    model = model_slot(settings, log, processes)
    draining = threading.Event()
    scheduler = reading_scheduler(settings, model)
    metrics, traces = new_metrics(), new_traces(settings, scheduler, log)
    app = create_app(settings, model=model, log=log, scheduler=scheduler, metrics=metrics, traces=traces, draining=draining.is_set)
    try:
        failure = socket_failures(time.time, log, metrics.refused)
        server = make_server(app, settings, scheduler, failure=failure, draining=draining)
    except OSError as error:
        raise stop(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; set KEYLIKE_HOST or KEYLIKE_PORT") from None
    server.stop_on_signals()
    _greet(settings, server.port)
    with Loading(model.load, done=lambda: _tell_ready(settings, model), failed=server.stop) as loading:
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
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each photo.")] = False,
    overlay: Annotated[Path | None, typer.Option(help="Draw outline, cut lines and depths onto the photo, into this file.")] = None,
    zipcode: Annotated[str, typer.Option(help="Five digits, for the rough market figures.")] = "00000",
) -> None:
    """Reads the key in each photo; ends with 1 if any of them could not be read."""
    from terminal import tables
    from terminal.photos import body, read_file

    if overlay and len(photos) > 1:
        raise stop("--overlay takes a single photo")
    if len(zipcode) != 5 or not (zipcode.isascii() and zipcode.isdigit()):
        raise stop("--zipcode takes five digits")
    inference = _inference(_settings())
    results = [read_file(inference, photo, zipcode) for photo in photos]
    inference.scheduler.close()
    if as_json:
        for photo, result in zip(photos, results, strict=True):
            print(json.dumps({"file": str(photo), **body(result)}))
    else:
        _out.print(tables.readings(photos, results))
        for line in tables.refusals(photos, results):
            _out.print(line, markup=False)
    if overlay:
        first = results[0]
        if isinstance(first, KeylikeError):
            say(f"nothing was read, so {overlay} was not written")
        else:
            from readers.caliper.overlay import draw_overlay

            opened, reading = inference.limits.open(photos[0].read_bytes()), first.reading
            write("--overlay", overlay, lambda: draw_overlay(opened, reading).save(overlay))
    if any(isinstance(result, KeylikeError) for result in results):
        raise typer.Exit(1)


@cli.command()
def evaluate(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR…", help="Each holds labels.jsonl and images/.")],
    misses: Annotated[bool, typer.Option(help="A line for each photo that was not read right.")] = False,
    page: Annotated[Path | None, typer.Option("--report", help="An HTML page of it all, with codes and the worst photos.")] = None,
) -> None:
    """Scores the reader on labelled photos: a table by tier and keyway, and one line of JSON at the end."""
    from readers.evaluation import judge, shots
    from terminal import tables
    from terminal.report import write_page

    if page and not page.resolve().parent.is_dir():
        raise stop(f"--report: there is no folder {page.parent}")
    reader = _reader(_settings())
    with labelled_photos():
        report = judge(reader, [shot for folder in folders for shot in shots(folder)], tables.teller(_out, misses))
    _out.print(tables.scores(report))
    if page:
        write("--report", page, lambda: write_page(page, report, reader.info, folders, time.time()))
    print(json.dumps({"model": f"{reader.info.name}-{reader.info.version}", **report.to_dict()}))


@cli.command()
def calibrate(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds labels.jsonl and images/.")]) -> None:
    """Fits the confidence of the Gemma model that MODEL_PATH names on labelled photos, and writes it into the model's manifest."""
    from readers.evaluation import shots
    from readers.gemma.calibrate import Hearing, calibrate

    settings = _settings()
    with labelled_photos():
        labelled = shots(folder)
        reader = _reader(settings.model_copy(update={"strict": True, "agree": False}))
        if not isinstance(reader, Hearing):
            raise stop("MODEL_PATH names no Gemma model: the caliper's calibration is part of its training (make train)")
        beside = _reader(settings.model_copy(update={"model_path": None, "strict": True, "agree": False})) if settings.agree else None
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
def doctor(as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False) -> None:
    """Checks what Keylike needs and says what to do about each fault; ends with 1 if there is any."""
    import model_loader
    from access.policy import Policy
    from app import policy_of
    from model_loader import Choices
    from serving.doctor.checkup import Subject, examine
    from serving.doctor.finding import State
    from terminal import tables

    fault = None
    try:
        settings = load_settings()
    except SettingsError as error:
        settings, fault = Settings.model_construct(), str(error)
    subject = Subject(
        settings_fault=fault,
        home=SAMPLES.parent,
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
        ngrok_token=settings.ngrok_token.get_secret_value() if settings.ngrok_token else None,
    )
    with _err.status("Checking ..."):
        findings = examine(subject, lambda folder: model_loader.look(folder, Choices(settings.models, settings.base_model)))
    faults = sum(finding.state is State.FAULT for finding in findings)
    if as_json:
        print(json.dumps({"ok": not faults, "faults": faults, "findings": [asdict(finding) for finding in findings]}))
    else:
        _out.print(tables.checks(findings), soft_wrap=False)
    raise typer.Exit(1 if faults else 0)


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        raise stop(str(error)) from None


def _token_store() -> TokenStore:
    from access.store import TokenStore

    return TokenStore(_settings().tokens, time.time)


def _any_token(settings: Settings) -> bool | None:
    """Whether there is a token that passes; None where that cannot be told."""
    from access.tokens import TokensUnreadable
    from app import credentials

    try:
        return credentials(settings).any()
    except TokensUnreadable:
        return None


cli.add_typer(tokens_cli(_token_store), name="tokens")


def _greet(settings: Settings, port: int) -> None:
    from access.policy import Policy
    from app import policy_of
    from terminal.greeting import address_of, greeting

    model, tunnel = settings.model_folder.resolve(), settings.ngrok_token is not None
    embedded = model == (settings.models / "caliper").resolve() and not settings.agree
    token: str | None = ""
    if policy_of(settings) is not Policy.OPEN:
        token = "KEYLIKE_API_KEY" if settings.token else "TOKEN" if _any_token(settings) else None
    for line in greeting(address_of(settings.host, port), model.name, SAMPLES, embedded=embedded, token=token, tunnel=tunnel):
        _out.print(line, markup=False)
    sys.stdout.flush()


def _tell_ready(settings: Settings, model: ModelSlot) -> None:
    if model.reason is None:
        _out.print(f"Ready: {model.name} reads.", markup=False)
    else:
        _out.print(f"Degraded: only {model.name} reads. {settings.model_folder}: {model.reason}", markup=False)
    sys.stdout.flush()


def _reader(settings: Settings) -> Reader:
    from app import chosen_reader
    from model_loader import why

    try:
        return chosen_reader(settings)
    except Exception as error:
        raise stop(f"{settings.model_folder}: {why(error)}") from None


def _inference(settings: Settings) -> Inference:
    from app import picture_limits
    from inference_handler import Inference
    from serving.scheduler import Scheduler

    reader = _reader(settings)
    return Inference(Scheduler(lambda: reader, queue=1, threads=1), picture_limits(settings), time.perf_counter)
