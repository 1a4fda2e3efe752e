"""A storm over the real server: `python -m tools.fuzzing.hostile_load --work DIR [--count N] [--callers N] [--seed N] [--only N] [--base URL]`.

Status 1 where an answer was not as it must be; each such case is told with its number, and `--only`, with the same seed and the same
--drawn, sends it again and shows what was sent and what came back. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tools.benchmarks.serving.stress.memory import growth_per_1000
from tools.benchmarks.serving.stress.server import Server
from tools.fuzzing.hostile_load.callers import Tally, storm
from tools.fuzzing.hostile_load.cases import Cases, samples
from tools.fuzzing.hostile_load.drawn import from_document, from_hypothesis
from tools.fuzzing.hostile_load.verdict import faults
from tools.fuzzing.hostile_load.wire import exchange

# The server's default. An answer must be there by then; whoever waits does so a little longer, to see one that comes too late.
_DEADLINE_S, _LATE_S = 30.0, 10.0
# The document describes about so many operations.
_OPERATIONS = 10
_LOOKS = 100
# As in the trials: what a server may grow by for a thousand requests, and from how many requests on its trend says something.
_GROWTH_MB, _TREND = 1.0, 20_000
_SHOWN = 2000
MB = 1_000_000


def main() -> None:
    """Draws, storms, looks after the server, and says what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder for the server's logs")
    parser.add_argument("--count", type=int, default=100_000, help="cases to send")
    parser.add_argument("--callers", type=int, default=8, help="cases at the same time")
    parser.add_argument("--seed", type=int, default=1, help="of all that is chance here")
    parser.add_argument(
        "--drawn",
        type=int,
        default=3000,
        help="requests to have Hypothesis draw, and about as many Schemathesis",
    )
    parser.add_argument("--only", type=int, help="this case alone")
    parser.add_argument(
        "--base",
        help="a server that runs already, in place of one of its own; its memory is not looked at",
    )
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        server = None if arguments.base else stack.enter_context(Server(arguments.work))
        base = arguments.base or (server.url if server else "")
        with urllib.request.urlopen(f"{base}/openapi.json", timeout=_DEADLINE_S) as answer:
            document = json.load(answer)
        began = time.monotonic()
        drawn, each = (
            from_hypothesis(arguments.drawn, arguments.seed),
            -(-arguments.drawn // _OPERATIONS),
        )
        cases = Cases(arguments.seed, drawn, from_document(document, each, arguments.seed))
        print(
            f"{len(cases.drawn)} requests drawn by Hypothesis, {len(cases.described)} by Schemathesis, in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        url = urlsplit(base)
        address = (url.hostname or "", url.port or 80)
        if arguments.only is not None:
            sys.exit(_shown(address, cases, arguments.only))
        summary = _stormed(address, cases, arguments.count, arguments.callers, server)
    print(json.dumps(summary))
    sys.exit(0 if summary["met"] else 1)


def _stormed(
    address: tuple[str, int], cases: Cases, count: int, callers: int, server: Server | None
) -> dict[str, object]:
    before = _wrong_samples(
        address
    )  # which also has the server settle: networks, caches and threads are there
    all_of_it, looked, used = Tally(), [0], [server.monitor.memory() if server else 0]
    began = time.monotonic()
    for tally in storm(address, cases, count, callers, _DEADLINE_S + _LATE_S):
        all_of_it.add(tally)
        for number, kind, fault in tally.failures:
            print(f"FAILED --seed {cases.seed} --only {number} ({kind}): {fault}", flush=True)
        if all_of_it.cases >= looked[-1] + max(1, count // _LOOKS):
            looked.append(all_of_it.cases)
            used.append(server.monitor.memory() if server else 0)
            if len(looked) % 10 == 1:
                print(
                    f"{all_of_it.cases} cases, {time.monotonic() - began:.0f} s, {used[-1] / MB:.0f} MB",
                    flush=True,
                )
    took_s = time.monotonic() - began
    wrong = before + _wrong_samples(address)
    memory = _memory(looked, used, server, count)
    late = all_of_it.slowest[0] > _DEADLINE_S
    grown = (
        memory is not None
        and memory["mb_per_1000"] is not None
        and float(str(memory["mb_per_1000"])) > _GROWTH_MB
    )
    alive = server is None or server.process.poll() is None
    return {
        "met": not (all_of_it.failures or wrong or late or grown) and alive,
        "cases": all_of_it.cases,
        "seconds": round(took_s, 1),
        "failures": len(all_of_it.failures),
        "kinds": dict(sorted(all_of_it.kinds.items())),
        "statuses": dict(sorted(all_of_it.statuses.items())),
        "slowest_s": round(all_of_it.slowest[0], 3),
        "slowest_case": all_of_it.slowest[1],
        "samples_wrong": wrong,
        "memory": memory,
        "seed": cases.seed,
    }


def _memory(
    looked: list[int], used: list[int], server: Server | None, count: int
) -> dict[str, float | None] | None:
    """MB as the storm went on, and by the trend of its second half."""
    if server is None:
        return None
    at = {
        f"at_{share}": round(used[min(len(used) - 1, share * len(used) // 100)] / MB, 1)
        for share in (0, 10, 50, 100)
    }
    return {
        **at,
        "peak": round(server.monitor.peak / MB, 1),
        "mb_per_1000": round(growth_per_1000(looked, used), 3) if count >= _TREND else None,
    }


def _wrong_samples(address: tuple[str, int]) -> int:
    """How many of the samples are not read as they should be."""
    return sum(bool(faults(case, exchange(address, case, _DEADLINE_S))) for case in samples())


def _shown(address: tuple[str, int], cases: Cases, number: int) -> int:
    """One case, with its bytes and what came back; gives the exit status."""
    case = cases.case(number)
    outcome = exchange(address, case, _DEADLINE_S + _LATE_S)
    print(
        f"case {number}: {case.kind}, {case.ending}, {sum(map(len, case.pieces))} bytes\n{b''.join(case.pieces)[:_SHOWN]!r}"
    )
    for answer in outcome.answers:
        print(
            f"{answer.status} after {answer.took_s:.3f} s {answer.headers}\n{answer.body[:_SHOWN]!r}"
        )
    found = faults(case, outcome)
    print("as it should be" if not found else "\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    main()
