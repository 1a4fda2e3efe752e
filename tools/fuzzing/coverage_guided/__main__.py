"""Fuzz request parsing: `python -m tools.fuzzing.coverage_guided --work DIR --seconds N`.

The run ends with exit status 1 at the first finding: an exception that is not one of Keylike's
errors, an input that takes longer than ten seconds, or a process above 1,200 MB. The findings are
written to DIR/found. The inputs that reached new code are kept in DIR/corpus, and the next run
starts from them. The last line of the output is JSON.
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

from tools.fuzzing.coverage_guided.entry_points import seeds
from tools.fuzzing.valid_pictures import ROOT

# Limits for one input: seconds, and memory of the whole process in MB. Decoding one picture may use
# 250 MB within the server's limits; the instrumented libraries need the rest.
_TIMEOUT_S, _MEMORY_MB = 10, 1200
# Largest input in bytes, and number of broken pictures among the initial inputs.
_MAX_BYTES, _BROKEN_SEEDS = 20_000, 600
# Lines in libFuzzer's output: a final statistic, and the progress (edges, features, corpus size).
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
_REACHED = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


def main() -> None:
    """Write the initial inputs, run the fuzzer and report the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for the corpus and the findings"
    )
    parser.add_argument("--seconds", type=int, default=180, help="duration of the run")
    parser.add_argument("--seed", type=int, default=1, help="seed of libFuzzer")
    options = parser.parse_args()
    corpus, found = options.work / "corpus", options.work / "found"
    write_seeds(corpus, seeds(_BROKEN_SEEDS))
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    status, output = run_fuzzer(corpus, found, options.seconds, options.seed)
    new = sorted(path.name for path in set(found.iterdir()) - before)
    figures = {name: int(value) for name, value in _STATISTIC.findall(output)}
    edges, features, kept = (
        map(int, _REACHED.findall(output)[-1]) if _REACHED.search(output) else (0, 0, 0)
    )
    ran = figures.get("number_of_executed_units", 0)
    print(
        f"{ran} inputs, {edges} edges and {features} features reached, "
        f"{kept} inputs kept, {len(new)} findings"
    )
    passed = status == 0 and not new and ran > 0
    summary = {
        "met": passed,
        "inputs": ran,
        "edges": edges,
        "features": features,
        "kept": kept,
        "peak_mb": figures.get("peak_rss_mb", 0),
        "slowest_s": figures.get("slowest_unit_time_sec", 0),
        "found": new,
    }
    print(json.dumps(summary))
    sys.exit(0 if passed else 1)


def write_seeds(corpus: Path, inputs: Iterable[bytes]) -> None:
    """Write each input to a file that is named after its SHA-1."""
    corpus.mkdir(parents=True, exist_ok=True)
    for each in inputs:
        (corpus / hashlib.sha1(each, usedforsecurity=False).hexdigest()).write_bytes(each)


def run_fuzzer(corpus: Path, found: Path, seconds: int, seed: int) -> tuple[int, str]:
    """Run the fuzzer and print its output. Return its exit status and its output.

    Args:
        corpus: Folder of the inputs that reached new code.
        found: Folder of the findings.
        seconds: Duration of the run.
        seed: Random seed.
    """
    limits = [
        f"-timeout={_TIMEOUT_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-max_len={_MAX_BYTES}",
        f"-max_total_time={seconds}",
    ]
    folders = [f"-artifact_prefix={found.resolve()}/", str(corpus.resolve())]
    command = [
        sys.executable,
        "-m",
        "tools.fuzzing.coverage_guided.target",
        *limits,
        f"-seed={seed}",
        "-print_final_stats=1",
        *folders,
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
