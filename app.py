"""Entry point of the server: `python app.py` runs the command line, `create_app` builds the application."""

from __future__ import annotations

from keylike.cli import main
from keylike.service import create_app

__all__ = ["create_app", "main"]

if __name__ == "__main__":
    main()
