"""Training of the readers, on drawn photos; never imported by the package."""

from __future__ import annotations

import os

# As in readers/sessions.py, for those here who import onnxruntime by themselves.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
