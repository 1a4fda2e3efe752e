"""The command line: one function per command. Without a command it serves.

Heavy imports are inside the commands, so that --help is quick.
"""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.progress import track

from keylike.resources import COMMAND, HOME, SAMPLES
from keylike.settings import Settings, SettingsError, load_settings
from keylike.terminal.cli_errors import exit_on_dataset_error, stop
from keylike.terminal.standard_streams import BackgroundStream, tolerate_unwritable_streams
from keylike.terminal.tokens_command import tokens_cli

if TYPE_CHECKING:
    from keylike.access.store import TokenStore
    from keylike.inference import Inference
    from keylike.readers.contract import Reader
    from keylike.service import Service

# The embedded reader loads in less: it is then ready before the first request. A slower model loads
# while the server answers /health/live.
HEAD_START_S = 1.0

cli = typer.Typer(
    help="Keylike reads a house key from a photo.",
    pretty_exceptions_enable=False,
    add_completion=False,
)
_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)


_Tunnel = Annotated[
    bool, typer.Option("--tunnel", help="Open a public address, with a QR code for a phone.")
]


def main() -> None:
    """Run the command line."""
    with tolerate_unwritable_streams():
        cli(prog_name="keylike")


@cli.callback(invoke_without_command=True)
def default_command(context: typer.Context, tunnel: _Tunnel = False) -> None:
    """Serve if no command is given."""
    if context.invoked_subcommand is None:
        serve(tunnel)
    elif tunnel:
        raise stop(f"--tunnel belongs to serve: {COMMAND} {context.invoked_subcommand} has none")


@cli.command()
def serve(tunnel: _Tunnel = False) -> None:
    """Start the server. Settings come from the environment and .env (see .env.example)."""
    from keylike.engines.background_load import BackgroundLoad
    from keylike.http_server.hard_exit import hard_exit
    from keylike.observability.core_dumps import forbid_core_dumps
    from keylike.observability.malloc_tuning import tune_malloc
    from keylike.service import Service

    forbid_core_dumps()
    settings = _settings(tunnel)
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
            raise stop(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
                "set KEYLIKE_HOST or KEYLIKE_PORT"
            ) from None
        server.install_signal_handlers()
        _print_greeting(out, settings, server.port)
        load = BackgroundLoad(
            service.load, done=lambda: _print_ready(out, service), failed=server.stop
        )
        with load, _tunnel(out, service, server.port, one_time_token):
            load.wait(HEAD_START_S)
            server.run()
            failure = load.failure
            finished = service.close()
            if failure is None:
                out.print("Stopped.")
            if not finished:
                stream.close()
                hard_exit(0)
    if failure is not None:
        raise stop(f"{settings.model_folder}: {failure}")


@cli.command()
def read(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO…", help="Photos of keys.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per photo.")
    ] = False,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Draw outline, cuts and depths over the photo, into this file."),
    ] = None,
    zipcode: Annotated[
        str, typer.Option(help="Five digits, for the rough market figures.")
    ] = "00000",
) -> None:
    """Read the key in each photo. The exit status is 1 if any of them could not be read."""
    from keylike.terminal.photos import show

    all_read = show(
        _out, lambda: _inference(_settings()), photos, zipcode, overlay, as_json=as_json
    )
    raise typer.Exit(0 if all_read else 1)


@cli.command()
def evaluate(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="Each contains labels.jsonl and images/.")
    ],
    misses: Annotated[
        bool, typer.Option(help="Print a line for each photo that was not read correctly.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option("--report", help="Write an HTML report, with codes and the worst photos."),
    ] = None,
) -> None:
    """Score the reader on labelled photos: a table by tier and keyway, then one line of JSON."""
    from keylike.terminal.scoring import score

    score(_out, lambda: _reader(_settings()), folders, page, misses=misses)


@cli.command()
def calibrate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Contains labels.jsonl and images/.")
    ],
) -> None:
    """Fit the confidence of the Gemma model in MODEL_PATH and write it into its manifest."""
    from keylike.readers.evaluation import shots
    from keylike.readers.gemma.calibrate import ScoringReader, calibrate

    settings = _settings()
    with exit_on_dataset_error():
        labelled = shots(folder)
        reader = _reader(settings.model_copy(update={"strict": True, "agree": False}))
        if not isinstance(reader, ScoringReader):
            raise stop(
                "MODEL_PATH names no Gemma model: the caliper's calibration is part of its "
                "training (make train)"
            )
        embedded = settings.model_copy(update={"model_path": None, "strict": True, "agree": False})
        done = calibrate(
            reader,
            settings.model_folder,
            labelled,
            second_reader=_reader(embedded) if settings.agree else None,
            models=settings.models,
            show=lambda groups: track(groups, "Reading", console=_err),
        )
    _out.print(done.table())
    _out.print("\n".join(done.lines()), markup=False)
    print(json.dumps(done.to_dict()))


@cli.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Check what Keylike needs and say how to mend each fault. The exit status is 1 if any."""
    from keylike.access.policy import Policy
    from keylike.configuration import policy_of
    from keylike.doctor.checkup import DoctorInput, run_checks
    from keylike.readers import loading
    from keylike.terminal import tables

    fault = None
    try:
        settings = load_settings()
    except SettingsError as error:
        settings, fault = Settings.model_construct(), str(error)
    inputs = DoctorInput(
        settings_fault=fault,
        home=HOME,
        model=settings.model_folder,
        embedded=settings.models / "caliper",
        base_model=settings.base_model,
        models=settings.models,
        logs=settings.logs,
        strict=settings.strict,
        backend=settings.backend,
        at_once=settings.processes or settings.threads,
        photo_bytes=settings.max_memory,
        host=settings.host,
        port=settings.port,
        needs_token=policy_of(settings) is not Policy.OPEN,
        tokens=_any_token(settings),
        tunnel=settings.tunnel,
        no_tunnel=_why_not_public(settings),
        ngrok_token=settings.ngrok_token.get_secret_value() if settings.ngrok_token else None,
    )
    choices = loading.Choices(settings.models, settings.base_model)
    with _err.status("Checking ..."):
        findings = run_checks(inputs, lambda folder: loading.look(folder, choices))
    raise typer.Exit(tables.print_checks(_out, findings, as_json=as_json))


def _settings(tunnel: bool = False) -> Settings:
    """Return the settings of the environment, with a tunnel if the option asks for one."""
    try:
        settings = load_settings()
    except SettingsError as error:
        raise stop(str(error)) from None
    return settings.model_copy(update={"tunnel": settings.tunnel or tunnel})


def _token_store(settings: Settings | None = None) -> TokenStore:
    from keylike.access.store import TokenStore

    return TokenStore((settings or _settings()).tokens, time.time)


def _any_token(settings: Settings) -> bool | None:
    """Return True if any token is valid, or None if the file of tokens cannot be read."""
    from keylike.access.credentials import Credentials
    from keylike.access.tokens import TokensUnreadable

    store = _token_store(settings)
    try:
        return Credentials(settings.token, store).any()
    except TokensUnreadable:
        return None
    finally:
        store.close()


cli.add_typer(tokens_cli(_token_store), name="tokens")


def _print_greeting(out: Console, settings: Settings, port: int) -> None:
    from keylike.access.policy import Policy
    from keylike.configuration import policy_of
    from keylike.terminal.greeting import address_of, first_sample, greeting

    model = settings.model_folder.resolve()
    embedded = model == (settings.models / "caliper").resolve() and not settings.agree
    token: str | None = ""
    if policy_of(settings) is not Policy.OPEN:
        token = "KEYLIKE_API_KEY" if settings.token else "TOKEN" if _any_token(settings) else None
    _print(
        out,
        *greeting(
            address_of(settings.host, port),
            model.name,
            first_sample(SAMPLES),
            embedded=embedded,
            token=token,
            tunnel=settings.tunnel,
            spare=settings.ngrok_token is not None and not settings.tunnel,
        ),
    )


def _one_time_token(settings: Settings) -> str | None:
    """Return a token for this run if the clients of a tunnel need one and there is none.

    End the command if a tunnel may not be opened.
    """
    from keylike.access.policy import Policy
    from keylike.access.tokens import generate_secret
    from keylike.configuration import policy_of

    reason = _why_not_public(settings)
    if settings.tunnel and reason:
        raise stop(reason)
    needed = settings.tunnel and policy_of(settings) is not Policy.OPEN
    return generate_secret() if needed and not _any_token(settings) else None


def _why_not_public(settings: Settings) -> str | None:
    from keylike.access.addresses import is_local_host
    from keylike.access.policy import tunnel_refusal

    return tunnel_refusal(
        settings.policy, loopback=is_local_host(settings.host), open_allowed=settings.tunnel_open
    )


def _tunnel(
    out: Console, service: Service, port: int, one_time_token: str | None
) -> AbstractContextManager[None]:
    """Return a context in which the tunnel is open, if the settings ask for one."""
    settings = service.settings
    if not settings.tunnel:
        return nullcontext()
    from keylike.terminal.greeting import address_of, first_sample
    from keylike.terminal.tunnel_console import TunnelConsole

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


def _print_ready(out: Console, service: Service) -> None:
    model = service.engines.name
    reason = service.engines.reason
    if reason is None:
        _print(out, f"Ready: {model} reads.")
    else:
        folder = service.settings.model_folder
        _print(out, f"Degraded: only {model} reads. {folder}: {reason}")


def _print(out: Console, *lines: str) -> None:
    for line in lines:
        out.print(line, markup=False)


def _reader(settings: Settings) -> Reader:
    from keylike.configuration import chosen_reader
    from keylike.images.libraries import configure_image_libraries
    from keylike.readers.loading import why

    configure_image_libraries()
    try:
        return chosen_reader(settings)
    except Exception as error:
        raise stop(f"{settings.model_folder}: {why(error)}") from None


def _inference(settings: Settings) -> Inference:
    from keylike.configuration import picture_limits
    from keylike.inference import Inference

    return Inference.local(_reader(settings), picture_limits(settings))
