"""Entry point of `python -m keylike`."""

from __future__ import annotations

from keylike.cli import main

if __name__ == "__main__":
    main()
