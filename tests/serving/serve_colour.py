"""`keylike serve` as a process of its own, with the colour reader in place of the model."""

from __future__ import annotations

import model_loader
from cli import main
from tests.fakes import colour_reader

if __name__ == "__main__":
    model_loader.load_reader = lambda folder: colour_reader()
    main()
