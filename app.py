"""Entry points: `python app.py` runs the command line, and `app:app` is the WSGI application."""

from __future__ import annotations

import atexit
from typing import Any

from keylike.cli import main
from keylike.service import create_app

__all__ = ["create_app", "main"]


def __getattr__(name: str) -> Any:
    """Build `app` when it is first used, so that importing this module loads no model.

    The service behind it is closed when the process ends.
    """
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keylike.settings import load_settings

    app = create_app(load_settings())
    atexit.register(app.extensions["keylike"].close)
    globals()["app"] = app
    return app


if __name__ == "__main__":
    main()
