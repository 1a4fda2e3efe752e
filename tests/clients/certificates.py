"""TLS certificates for tests, created with openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Create a self-signed certificate for 127.0.0.1 and return it with its private key.

    Skips the test if openssl is not installed.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed; on Debian or Ubuntu: apt-get install openssl")
    certificate, private_key = folder / "fullchain.pem", folder / "privkey.pem"
    options = [
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
    subject = ["-subj", "/CN=keylike test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [openssl, *options, *subject, "-keyout", str(private_key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return certificate, private_key
