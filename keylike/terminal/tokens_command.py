"""The `tokens` commands: create, list and revoke tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from keylike.access.tokens import Tier, Token, TokenError, TokensUnreadable
from keylike.terminal.cli_errors import say, stop
from keylike.terminal.typer_classes import Command, Group

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from keylike.access.store import TokenStore

_DAY_S = 86_400
_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the token, such as the phone that uses it.")
]


def tokens_cli(open_store: Callable[[], TokenStore]) -> typer.Typer:
    """Return the `tokens` commands. They open the store of tokens with `open_store`."""
    cli = typer.Typer(
        help=(
            "Create, list and revoke the tokens that clients send. Also works while a server runs."
        ),
        cls=Group,
        no_args_is_help=True,
    )

    @contextmanager
    def opened() -> Iterator[TokenStore]:
        store = open_store()
        try:
            yield store
        except TokenError as error:
            raise stop(str(error)) from None
        except TokensUnreadable as error:
            raise stop(f"{store.path}: {error}") from None
        finally:
            store.close()
        _warn_if_shared(store.path)

    @cli.command(cls=Command)
    def new(
        name: _Name,
        tier: Annotated[Tier, typer.Option(help="What the token permits.")] = Tier.FREE,
        days: Annotated[
            int | None,
            typer.Option(
                min=1, max=36_500, help="Days until the token expires; by default it never does."
            ),
        ] = None,
    ) -> None:
        """Create a token and print it once; only its hash is stored."""
        with opened() as store:
            clear = store.new(name, tier, None if days is None else days * _DAY_S)
        validity = f"for {days} days" if days else "until it is revoked"
        say(
            f"{name} is a token of tier {tier.value}, valid {validity}. It is shown "
            "only once; send it as X-API-Key:"
        )
        print(clear)

    @cli.command(name="list", cls=Command)
    def list_tokens(
        as_json: Annotated[
            bool, typer.Option("--json", help="Print one line of JSON per token.")
        ] = False,
    ) -> None:
        """List the tokens with their details, oldest first. The secrets are never shown."""
        with opened() as store:
            tokens, now = store.tokens(), store.clock()
        if as_json:
            for token in tokens:
                print(json.dumps(asdict(token)))
        else:
            from rich.console import Console

            Console(highlight=False).print(_table(tokens, now))

    @cli.command(cls=Command)
    def revoke(name: _Name) -> None:
        """Revoke a token, effective at once for running servers. Exits with 1 if there is none."""
        with opened() as store:
            revoked = store.revoke(name)
        say(f"{name} is revoked." if revoked else f"no token is named {name!r}")
        raise typer.Exit(0 if revoked else 1)

    return cli


def _table(tokens: list[Token], now: float) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "name",
        "tier",
        "created",
        "expires",
        "last used",
        caption="times in UTC" if tokens else "no tokens yet",
    )
    for token in tokens:
        expires = "never" if token.expires is None else _time(token.expires)
        ending = Text(f"{expires} (expired)", "red") if token.expired(now) else Text(expires)
        used = "never" if token.last_used is None else _time(token.last_used)
        table.add_row(
            Text(token.name, overflow="fold"), token.tier.value, _time(token.created), ending, used
        )
    return table


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def _warn_if_shared(path: Path) -> None:
    """Print a warning if other users of this machine can access the file."""
    try:
        open_to_others = path.stat().st_mode & 0o077
    except OSError:
        return
    if open_to_others:
        say(f"{path} is accessible to other users of this machine; restrict it with chmod 600")
