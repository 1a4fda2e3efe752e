"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """One that signs itself, for 127.0.0.1, and its secret half; skips where there is no openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed; on Debian or Ubuntu: apt-get install openssl")
    made, secret = folder / "fullchain.pem", folder / "privkey.pem"
    how = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=keylike test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [openssl, *how, *names, "-keyout", str(secret), "-out", str(made)],
        check=True,
        capture_output=True,
    )
    return made, secret
