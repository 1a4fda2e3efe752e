"""Entry points: `python app.py` runs the command line, and `app:app` is the WSGI application."""

from __future__ import annotations

from keylike.__main__ import main

# `typing` is not imported at run time: Ctrl-C during that import would print a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from keylike.service import create_app

__all__ = ["create_app", "main"]


def __getattr__(name: str) -> Any:
    """Import `create_app` and build `app` when they are first used.

    Importing this module loads no packages and no model. The service of `app` is closed when the
    process exits.
    """
    if name not in ("app", "create_app"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import atexit

    from keylike.service import create_app
    from keylike.settings import load_settings

    if name == "create_app":
        return create_app
    app = create_app(load_settings())
    atexit.register(app.extensions["keylike"].close)
    globals()["app"] = app
    return app


if __name__ == "__main__":
    main()
