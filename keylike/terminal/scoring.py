"""The `evaluate` command: scores a reader on labelled photos, as a table, a page and JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from keylike.readers.contract import Reader
from keylike.readers.evaluation import judge, shots
from keylike.terminal import tables
from keylike.terminal.cli_errors import check_output, exit_on_dataset_error, write
from keylike.terminal.report import write_page


def score(
    console: Console,
    load: Callable[[], Reader],
    folders: Sequence[Path],
    page: Path | None,
    *,
    misses: bool,
    force: bool,
) -> None:
    """Score the reader on all photos of `folders` and print the results.

    The arguments and labels are checked before the model is loaded. If one is wrong, the command
    exits.

    Args:
        console: receives the table.
        load: loads the reader.
        folders: labelled folders.
        page: file for the HTML page, or None.
        misses: True to print a line for each photo that was not read correctly.
        force: True to overwrite `page` if it exists.
    """
    with exit_on_dataset_error():
        labelled = [shot for folder in folders for shot in shots(folder)]
        if page:
            labels = [folder / "labels.jsonl" for folder in folders]
            inputs = [*labels, *(shot.path for shot in labelled)]
            check_output("--report", page, inputs, force=force)
        reader = load()
        report = judge(reader, labelled, tables.miss_printer(console, misses))
    console.print(tables.scores(report))
    if page:
        write(
            "--report",
            page,
            lambda: write_page(page, report, reader.info, list(folders), time.time()),
        )
    print(json.dumps({"model": f"{reader.info.name}-{reader.info.version}", **report.to_dict()}))
