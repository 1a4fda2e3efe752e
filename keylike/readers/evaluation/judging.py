"""Run an evaluation: read every photo, measure the time, and compare the code with the label."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from keylike.images.photo import open_photo, read_photo_file
from keylike.readers.contract import Reader
from keylike.readers.evaluation.report import Report
from keylike.readers.evaluation.verdict import Shot, Verdict


def judge(
    reader: Reader,
    photos: Iterable[Shot],
    on_verdict: Callable[[Verdict], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Read every photo and collect the verdicts.

    Args:
        reader: Reader to evaluate.
        photos: Labelled photos.
        on_verdict: Function that is called with each verdict.
        clock: Clock in seconds.

    Raises:
        KeylikeError: A photo cannot be decoded.
    """
    report = Report(reader.info.keyways)
    for shot in photos:
        data = read_photo_file(shot.path)
        start = clock()
        result = reader.read([open_photo(data)])[0]
        verdict = Verdict(shot, result, (clock() - start) * 1e3)
        report.add(verdict)
        on_verdict(verdict)
    return report
