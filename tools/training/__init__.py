"""Training of the readers on rendered photos. The `keylike` package never imports this one."""

from __future__ import annotations

import os

# Turns off onnxruntime's telemetry, as readers/sessions.py does for the server. Some modules of
# this package import onnxruntime without readers/sessions.py.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
