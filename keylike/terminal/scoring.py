"""The reader's scores on labelled photos: a table, a page where one is asked for, and one line of JSON at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from keylike.readers.contract import Reader
from keylike.readers.evaluation import judge, shots
from keylike.terminal import tables
from keylike.terminal.cli_errors import labelled_photos, stop, write
from keylike.terminal.report import write_page


def score(
    console: Console,
    load: Callable[[], Reader],
    folders: Sequence[Path],
    page: Path | None,
    *,
    misses: bool,
) -> None:
    """Reads all photos of the `folders`; `misses`: a line for each that was not read right. Ends the command for a mistake, before
    anything is loaded if it can be seen by then."""
    if page and not page.resolve().parent.is_dir():
        raise stop(f"--report: there is no folder {page.parent}")
    reader = load()
    with labelled_photos():
        report = judge(
            reader,
            [shot for folder in folders for shot in shots(folder)],
            tables.teller(console, misses),
        )
    console.print(tables.scores(report))
    if page:
        write(
            "--report",
            page,
            lambda: write_page(page, report, reader.info, list(folders), time.time()),
        )
    print(json.dumps({"model": f"{reader.info.name}-{reader.info.version}", **report.to_dict()}))
