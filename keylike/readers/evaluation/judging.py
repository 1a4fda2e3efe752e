"""The run itself: every photo read, timed and judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from keylike.images.photo import open_photo
from keylike.readers.contract import Reader
from keylike.readers.evaluation.report import Report
from keylike.readers.evaluation.verdict import Shot, Verdict


def judge(
    reader: Reader,
    photos: Iterable[Shot],
    tell: Callable[[Verdict], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Reads every photo, hands each verdict to `tell`, and collects them. A photo that cannot be opened raises its KeylikeError."""
    report = Report(reader.info.keyways)
    for shot in photos:
        data = shot.path.read_bytes()
        start = clock()
        result = reader.read([open_photo(data)])[0]
        verdict = Verdict(shot, result, (clock() - start) * 1e3)
        report.add(verdict)
        tell(verdict)
    return report
