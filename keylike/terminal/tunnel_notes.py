"""What the server says of its tunnel: where it is, as a link and a QR code, and what is the matter where there is none."""

from __future__ import annotations

import sys
import threading
from contextlib import AbstractContextManager

from rich.console import Console
from structlog.stdlib import BoundLogger

from keylike.terminal.greeting import Sample
from keylike.terminal.qr_code import qr_code
from keylike.tunnel.faults import Fault
from keylike.tunnel.watchdog import TunnelStatus


def link(address: str, token: str | None) -> str:
    """The page at an address; a token goes where a browser keeps it to itself and sends it to nobody."""
    return f"{address}/" + (f"#token={token}" if token else "")


class TunnelNotes:
    """Prints on `console`, which alone gets to see addresses and `token`, the one of this run where there is one; `log` learns only how it
    goes. `local` is the server's own address, `sample` a photo to try, where there is any."""

    def __init__(
        self,
        console: Console,
        log: BoundLogger,
        *,
        local: str,
        token: str | None,
        sample: Sample | None,
    ) -> None:
        self._console, self._log, self._local, self._token, self._sample = (
            console,
            log,
            local,
            token,
            sample,
        )

    def beside(
        self,
        ngrok_token: str | None,
        domain: str | None,
        standing: TunnelStatus,
        over: threading.Event,
    ) -> AbstractContextManager[None]:
        """A tunnel to the server while that runs, and these notes of it."""
        from keylike.tunnel.opening import Wanted, tunnel_open  # pyngrok, for those who need it

        return tunnel_open(Wanted(self._local, ngrok_token, domain), self, standing, over)

    def opened(self, address: str, *, new: bool) -> None:
        """Where it is."""
        self._log.info("tunnel open")
        if not new:
            return self._say("The tunnel is open again, at the same address.")
        self._say(f"Open on the phone:  {link(address, self._token)}")
        for line in qr_code(link(address, self._token), self._console):
            self._console.print(line, no_wrap=True)
        self._say(
            *self._try(address),
            *(["The token in it ends with this server."] if self._token else []),
        )

    def lost(self) -> None:
        """That it is opened again."""
        self._log.warning("tunnel lost")
        self._say("The tunnel is lost; it is opened again. Here the server goes on.")

    def refused(self, fault: Fault) -> None:
        """What is the matter, and what to do."""
        self._log.warning("tunnel refused", failure=fault.name)
        again = "Then start Keylike again." if fault.final else "It is tried again and again."
        self._say(f"No tunnel: {fault.saw}. Next: {fault.advice}. {again}")
        self._say(f"Here the server goes on:  {link(self._local, self._token)}")

    def _try(self, address: str) -> list[str]:
        header = f'-H "X-API-Key: {self._token}" ' if self._token else ""
        return (
            [f"Try it:  curl {header}-F image=@{self._sample.photo} {address}/"]
            if self._sample
            else []
        )

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._console.print(line, markup=False)
        sys.stdout.flush()
