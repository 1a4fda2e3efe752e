"""Print the messages of the tunnel: its address as a link and a QR code, and its faults."""

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
    """Return the URL of the web page, with the token in its fragment.

    Browsers never send the fragment of a URL to a server, so the token does not appear in logs.
    """
    return f"{address}/" + (f"#token={token}" if token else "")


class TunnelConsole:
    """A listener that prints the tunnel's events and logs them without secrets.

    Args:
        console: receives all messages. They contain the address and the token.
        log: receives only the kind of each event.
        local: address of the server on this machine.
        token: Keylike token that was created for this run, or None.
        sample: photo for the example command, or None.
    """

    def __init__(
        self,
        console: Console,
        log: BoundLogger,
        *,
        local: str,
        token: str | None,
        sample: Sample | None,
    ) -> None:
        self._console = console
        self._log = log
        self._local = local
        self._token = token
        self._sample = sample

    def open_tunnel(
        self,
        ngrok_token: str | None,
        domain: str | None,
        status: TunnelStatus,
        stopped: threading.Event,
    ) -> AbstractContextManager[None]:
        """Return a context manager that keeps a tunnel open and reports its events here."""
        # Imported here, because only tunnels need pyngrok.
        from keylike.tunnel.session import TunnelOptions, open_tunnel

        return open_tunnel(TunnelOptions(self._local, ngrok_token, domain), self, status, stopped)

    def opened(self, address: str, *, new: bool) -> None:
        """Print the public address."""
        self._log.info("tunnel open")
        if not new:
            return self._print("The tunnel is open again, at the same address.")
        self._print(f"Open on the phone:  {link(address, self._token)}")
        for line in qr_code(link(address, self._token), self._console):
            self._console.print(line, no_wrap=True)
        self._print(
            *self._curl_command(address),
            *(["Its token is valid until this server stops."] if self._token else []),
        )

    def lost(self) -> None:
        """Print that the tunnel is being reopened."""
        self._log.warning("tunnel lost")
        self._print("The tunnel is lost and will be reopened. The local server keeps running.")

    def refused(self, fault: Fault) -> None:
        """Print the fault and what to do about it."""
        self._log.warning("tunnel refused", failure=fault.name)
        then = "Then restart Keylike." if fault.final else "Keylike keeps trying."
        self._print(f"No tunnel: {fault.message}. Next: {fault.advice}. {then}")
        self._print(f"The local server keeps running:  {link(self._local, self._token)}")

    def _curl_command(self, address: str) -> list[str]:
        header = f'-H "X-API-Key: {self._token}" ' if self._token else ""
        return (
            [f"Try it:  curl {header}-F image=@{self._sample.photo} {address}/"]
            if self._sample
            else []
        )

    def _print(self, *lines: str) -> None:
        for line in lines:
            self._console.print(line, markup=False)
        sys.stdout.flush()
