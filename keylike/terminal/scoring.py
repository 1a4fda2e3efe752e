"""The `evaluate` command: scores of a reader on labelled photos as a table, a page and JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from keylike.readers.contract import Reader
from keylike.readers.evaluation import judge, shots
from keylike.terminal import tables
from keylike.terminal.cli_errors import exit_on_dataset_error, stop, write
from keylike.terminal.report import write_page


def score(
    console: Console,
    load: Callable[[], Reader],
    folders: Sequence[Path],
    page: Path | None,
    *,
    misses: bool,
) -> None:
    """Score the reader on all photos of `folders` and print the results.

    Mistakes in the arguments end the command before the model is loaded, where possible.

    Args:
        console: receives the table.
        load: loads the reader.
        folders: labelled folders.
        page: file for the HTML page, or None.
        misses: print a line for each photo that was not read correctly.
    """
    if page and not page.resolve().parent.is_dir():
        raise stop(f"--report: the folder {page.parent} does not exist")
    reader = load()
    with exit_on_dataset_error():
        report = judge(
            reader,
            [shot for folder in folders for shot in shots(folder)],
            tables.miss_printer(console, misses),
        )
    console.print(tables.scores(report))
    if page:
        write(
            "--report",
            page,
            lambda: write_page(page, report, reader.info, list(folders), time.time()),
        )
    print(json.dumps({"model": f"{reader.info.name}-{reader.info.version}", **report.to_dict()}))
