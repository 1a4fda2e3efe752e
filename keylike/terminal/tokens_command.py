"""`tokens`: makes tokens, lists them and takes them away; what opens the store is passed in."""

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

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from keylike.access.store import TokenStore

_DAY_S = 86_400
_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="What it is known by, such as the phone it goes to.")
]


def tokens_cli(open_store: Callable[[], TokenStore]) -> typer.Typer:
    """The commands under `tokens`, for the store that `open_store` gives."""
    cli = typer.Typer(
        help="Tokens that callers send: makes, lists and revokes them, also while a server runs.",
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
        _warn_of_others(store.path)

    @cli.command()
    def new(
        name: _Name,
        tier: Annotated[Tier, typer.Option(help="What it opens.")] = Tier.FREE,
        days: Annotated[
            int | None,
            typer.Option(
                min=1, max=36_500, help="How long it is good; without: until it is revoked."
            ),
        ] = None,
    ) -> None:
        """Makes a token and prints it, this one time: it is stored as a hash alone."""
        with opened() as store:
            clear = store.new(name, tier, None if days is None else days * _DAY_S)
        until = f"for {days} days" if days else "until it is revoked"
        say(
            f"{name} is a token of the tier {tier.value}, good {until}. It cannot be shown again; send it as X-API-Key:"
        )
        print(clear)

    @cli.command(name="list")
    def list_tokens(
        as_json: Annotated[
            bool, typer.Option("--json", help="One line of JSON for each token.")
        ] = False,
    ) -> None:
        """Lists what is known of each token, the oldest first; never a token itself."""
        with opened() as store:
            tokens, now = store.tokens(), store.clock()
        if as_json:
            for token in tokens:
                print(json.dumps(asdict(token)))
        else:
            from rich.console import Console

            Console(highlight=False).print(_table(tokens, now))

    @cli.command()
    def revoke(name: _Name) -> None:
        """Takes a token away, also from a server that runs; ends with 1 where there is none of this name."""
        with opened() as store:
            revoked = store.revoke(name)
        say(f"{name} is revoked." if revoked else f"there is no token named {name!r}")
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
        ending = Text(f"{expires} (over)", "red") if token.expired(now) else Text(expires)
        used = "never" if token.last_used is None else _time(token.last_used)
        table.add_row(
            Text(token.name, overflow="fold"), token.tier.value, _time(token.created), ending, used
        )
    return table


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def _warn_of_others(path: Path) -> None:
    """Says so where others on this machine may read the file, or make tokens for themselves in it."""
    try:
        open_to_others = path.stat().st_mode & 0o077
    except OSError:
        return
    if open_to_others:
        say(f"{path} is open to others on this machine; close it with chmod 600")
