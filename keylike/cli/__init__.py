"""The command line: one function per command. Without a command, it starts the server.

Packages that import slowly are imported inside the commands, so that --help is fast.
"""

from __future__ import annotations

import importlib.metadata
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from keylike.cli.from_settings import (
    any_token,
    checked_settings,
    loaded_reader,
    local_inference,
    token_store,
    why_not_public,
)
from keylike.resources import COMMAND, HOME, INSTALLED
from keylike.settings import Settings, SettingsError, load_settings
from keylike.terminal.cli_errors import exit_on_dataset_error, stop
from keylike.terminal.standard_streams import tolerate_unwritable_streams
from keylike.terminal.tokens_command import tokens_cli
from keylike.terminal.typer_classes import Command, Group

cli = typer.Typer(
    help="Keylike reads a house key from a photo.",
    cls=Group,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)

_Host = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address to listen on, in place of KEYLIKE_HOST.",
        show_default=False,
    ),
]
_Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, metavar="PORT", help="Port to listen on, in place of KEYLIKE_PORT."
    ),
]
_Tunnel = Annotated[
    bool, typer.Option("--tunnel", help="Open a public address, with a QR code for a phone.")
]
_Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")]


def main() -> None:
    """Run the command line."""
    with tolerate_unwritable_streams():
        cli(prog_name="keylike")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"keylike {_version()}")
        raise typer.Exit


def _version() -> str:
    if INSTALLED:
        return importlib.metadata.version("keylike")
    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


@cli.callback(invoke_without_command=True)
def default_command(
    context: typer.Context,
    host: _Host = None,
    port: _Port = None,
    tunnel: _Tunnel = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Start the server if no command is given."""
    command = context.invoked_subcommand
    if command is None or command == "serve":
        context.obj = _serve_options(host, port, tunnel)
    elif options := _serve_options(host, port, tunnel):
        raise stop(f"--{next(iter(options))} belongs to serve: {COMMAND} {command} has none")
    if command is None:
        serve(context)


@cli.command(cls=Command)
def serve(
    context: typer.Context, host: _Host = None, port: _Port = None, tunnel: _Tunnel = False
) -> None:
    """Start the server. Settings come from the environment and .env (see .env.example)."""
    from keylike.observability.core_dumps import forbid_core_dumps

    forbid_core_dumps()
    settings = checked_settings(**{**context.obj, **_serve_options(host, port, tunnel)})
    from keylike.cli.serving import serve_until_stopped

    serve_until_stopped(settings)


@cli.command(cls=Command)
def read(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO", help="Photos of keys.")],
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
    force: _Force = False,
) -> None:
    """Read the key in each photo. The exit status is 1 if any of them could not be read."""
    from keylike.terminal.photos import show

    all_read = show(
        _out,
        lambda: local_inference(checked_settings()),
        photos,
        zipcode,
        overlay,
        as_json=as_json,
        force=force,
    )
    raise typer.Exit(0 if all_read else 1)


@cli.command(cls=Command)
def evaluate(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Each contains labels.jsonl and images/.")
    ],
    misses: Annotated[
        bool,
        typer.Option("--misses", help="Print a line for each photo that was not read correctly."),
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option("--report", help="Write an HTML report, with codes and the worst photos."),
    ] = None,
    force: _Force = False,
) -> None:
    """Score the reader on labelled photos: a table by tier and keyway, then one line of JSON."""
    from keylike.terminal.scoring import score

    score(
        _out,
        lambda: loaded_reader(checked_settings()),
        folders,
        page,
        misses=misses,
        force=force,
    )


@cli.command(cls=Command)
def calibrate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Contains labels.jsonl and images/.")
    ],
) -> None:
    """Fit the confidence of the Gemma model in MODEL_PATH and write it into its manifest."""
    from keylike.readers.evaluation import shots
    from keylike.readers.gemma.calibrate import ScoringReader, calibrate

    settings = checked_settings()
    with exit_on_dataset_error():
        labelled = shots(folder)
        reader = loaded_reader(settings.model_copy(update={"strict": True, "agree": False}))
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
            second_reader=loaded_reader(embedded) if settings.agree else None,
            models=settings.models,
            show=lambda groups: track(groups, "Reading", console=_err),
        )
    _out.print(done.table())
    _out.print("\n".join(done.lines()), markup=False)
    print(json.dumps(done.to_dict()))


@cli.command(cls=Command)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Check the installation, and suggest remedies. The exit status is 1 if there is a fault."""
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
        tokens=any_token(settings),
        tunnel=settings.tunnel,
        no_tunnel=why_not_public(settings),
        ngrok_token=settings.ngrok_token.get_secret_value() if settings.ngrok_token else None,
    )
    choices = loading.Choices(settings.models, settings.base_model)
    with _err.status("Checking ..."):
        findings = run_checks(inputs, lambda folder: loading.look(folder, choices))
    raise typer.Exit(tables.print_checks(_out, findings, as_json=as_json))


cli.add_typer(tokens_cli(token_store), name="tokens")


def _serve_options(host: str | None, port: int | None, tunnel: bool) -> dict[str, Any]:
    """Return the given options as setting names and values."""
    given = {"host": host, "port": port, "tunnel": tunnel or None}
    return {setting: value for setting, value in given.items() if value is not None}
