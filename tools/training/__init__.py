"""Draws keys, trains the embedded reader on them, and writes what models/ ships. Never imported by the server."""

from __future__ import annotations

import os

# As in readers/sessions.py, for those here who import onnxruntime by themselves.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
