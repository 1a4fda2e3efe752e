"""Searches the intake for what it cannot bear: `python -m tools.fuzzing.intake --work DIR --seconds N`. The last line is JSON.

What is found lies in DIR/found, and ends the search with status 1: an exception that is not the project's own, an input that takes longer
than ten seconds, or a process above 1,200 MB. What reached new lines lies in DIR/corpus, and the next search goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.fuzzing.intake.doors import seeds
from tools.fuzzing.sound import ROOT

# One input may take 250 MB by the server's own limits, beside what the process and its instrumented libraries hold.
_TIMEOUT_S, _MEMORY_MB = 10, 1200
_MOST_BYTES, _BROKEN = 20_000, 600
_FIGURE = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
_REACHED = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


def main() -> None:
    """Plants the seeds, searches, and says what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, required=True, help="a folder for the corpus and for what is found"
    )
    parser.add_argument("--seconds", type=int, default=180, help="how long to search")
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer's chance")
    arguments = parser.parse_args()
    corpus, found = arguments.work / "corpus", arguments.work / "found"
    plant(corpus, seeds(_BROKEN))
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    status, told = search(corpus, found, arguments.seconds, arguments.seed)
    new = sorted(path.name for path in set(found.iterdir()) - before)
    figures = {name: int(value) for name, value in _FIGURE.findall(told)}
    lines, features, kept = (
        map(int, _REACHED.findall(told)[-1]) if _REACHED.search(told) else (0, 0, 0)
    )
    ran = figures.get("number_of_executed_units", 0)
    print(
        f"{ran} inputs, {lines} edges and {features} features reached, {kept} inputs kept, {len(new)} found"
    )
    well = status == 0 and not new and ran > 0
    summary = {
        "met": well,
        "inputs": ran,
        "edges": lines,
        "features": features,
        "kept": kept,
        "peak_mb": figures.get("peak_rss_mb", 0),
        "slowest_s": figures.get("slowest_unit_time_sec", 0),
        "found": new,
    }
    print(json.dumps(summary))
    sys.exit(0 if well else 1)


def plant(corpus: Path, inputs: Iterable[bytes]) -> None:
    """Writes each under its digest; what is there stays."""
    corpus.mkdir(parents=True, exist_ok=True)
    for each in inputs:
        (corpus / hashlib.sha1(each, usedforsecurity=False).hexdigest()).write_bytes(each)


def search(corpus: Path, found: Path, seconds: int, seed: int) -> tuple[int, str]:
    """The searching process's exit status, and what it said, which is also shown on the way."""
    bounds = [
        f"-timeout={_TIMEOUT_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-max_len={_MOST_BYTES}",
        f"-max_total_time={seconds}",
    ]
    places = [f"-artifact_prefix={found.resolve()}/", str(corpus.resolve())]
    command = [
        sys.executable,
        "-m",
        "tools.fuzzing.intake.target",
        *bounds,
        f"-seed={seed}",
        "-print_final_stats=1",
        *places,
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


if __name__ == "__main__":
    main()
