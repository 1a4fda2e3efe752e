"""Send hostile requests to a server and check every response.

Run it with `python -m tools.fuzzing.hostile_load --work DIR`. The exit status is 1 if a response
breaks the API contract. The output contains the number of each failed case. To send a case again
and print its request and response, use `--only NUMBER` with the same --seed and --generated. The
last line of the output is JSON.
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
from tools.fuzzing.hostile_load.cases import Cases, samples
from tools.fuzzing.hostile_load.clients import Summary, send_all
from tools.fuzzing.hostile_load.exchange import exchange
from tools.fuzzing.hostile_load.generated import from_hypothesis, from_schema
from tools.fuzzing.hostile_load.violations import violations

# Seconds of the server's default deadline, and further seconds that the client waits to detect late
# responses.
_DEADLINE_S, _GRACE_S = 30.0, 10.0
# Approximate number of operations in the OpenAPI document.
_OPERATIONS = 10
_SAMPLES = 100  # number of memory measurements
# Largest allowed growth of the memory in MB per 1,000 requests, as in the stress scenarios, and the
# number of requests below which the growth is too uncertain to be reported.
_GROWTH_LIMIT_MB, _MIN_TREND_REQUESTS = 1.0, 20_000
_SHOWN_BYTES = 2000  # bytes of a request or body that `--only` prints
MB = 1_000_000


def main() -> None:
    """Generate the cases, send them, monitor the server and report the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the server's logs")
    parser.add_argument("--count", type=int, default=100_000, help="cases to send")
    parser.add_argument("--clients", type=int, default=8, help="concurrent client processes")
    parser.add_argument("--seed", type=int, default=1, help="seed of all random choices")
    parser.add_argument(
        "--generated",
        type=int,
        default=3000,
        help="requests to generate with Hypothesis, and about as many with Schemathesis",
    )
    parser.add_argument("--only", type=int, help="send only this case")
    parser.add_argument(
        "--base",
        help="URL of a running server to test; its memory is not measured",
    )
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        server = None if options.base else stack.enter_context(Server(options.work))
        base = options.base or (server.url if server else "")
        with urllib.request.urlopen(f"{base}/openapi.json", timeout=_DEADLINE_S) as response:
            document = json.load(response)
        began = time.monotonic()
        generated, per_operation = (
            from_hypothesis(options.generated, options.seed),
            -(-options.generated // _OPERATIONS),
        )
        cases = Cases(options.seed, generated, from_schema(document, per_operation, options.seed))
        print(
            f"generated {len(cases.generated)} requests with Hypothesis "
            f"and {len(cases.from_schema)} with Schemathesis in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        url = urlsplit(base)
        address = (url.hostname or "", url.port or 80)
        if options.only is not None:
            sys.exit(_show(address, cases, options.only))
        summary = _run(address, cases, options.count, options.clients, server)
    print(json.dumps(summary))
    sys.exit(0 if summary["met"] else 1)


def _run(
    address: tuple[str, int], cases: Cases, count: int, clients: int, server: Server | None
) -> dict[str, object]:
    # The first readings also load networks and start threads, so later memory measurements do not
    # include that.
    wrong_before = _wrong_samples(address)
    total, counts, memory = Summary(), [0], [server.monitor.memory() if server else 0]
    began = time.monotonic()
    for part in send_all(address, cases, count, clients, _DEADLINE_S + _GRACE_S):
        total.add(part)
        for number, kind, fault in part.failures:
            print(f"FAILED --seed {cases.seed} --only {number} ({kind}): {fault}", flush=True)
        if total.cases >= counts[-1] + max(1, count // _SAMPLES):
            counts.append(total.cases)
            memory.append(server.monitor.memory() if server else 0)
            if len(counts) % 10 == 1:
                print(
                    f"{total.cases} cases, {time.monotonic() - began:.0f} s, "
                    f"{memory[-1] / MB:.0f} MB",
                    flush=True,
                )
    seconds = time.monotonic() - began
    wrong = wrong_before + _wrong_samples(address)
    memory_summary = _memory(counts, memory, server, count)
    late = total.slowest[0] > _DEADLINE_S
    growing = (
        memory_summary is not None
        and memory_summary["mb_per_1000"] is not None
        and float(str(memory_summary["mb_per_1000"])) > _GROWTH_LIMIT_MB
    )
    alive = server is None or server.process.poll() is None
    return {
        "met": not (total.failures or wrong or late or growing) and alive,
        "cases": total.cases,
        "seconds": round(seconds, 1),
        "failures": len(total.failures),
        "kinds": dict(sorted(total.kinds.items())),
        "statuses": dict(sorted(total.statuses.items())),
        "slowest_s": round(total.slowest[0], 3),
        "slowest_case": total.slowest[1],
        "samples_wrong": wrong,
        "memory": memory_summary,
        "seed": cases.seed,
    }


def _memory(
    counts: list[int], memory: list[int], server: Server | None, count: int
) -> dict[str, float | None] | None:
    """Return the memory in MB at several times, and its growth in the second half of the load."""
    if server is None:
        return None
    at = {
        f"at_{share}": round(memory[min(len(memory) - 1, share * len(memory) // 100)] / MB, 1)
        for share in (0, 10, 50, 100)
    }
    return {
        **at,
        "peak": round(server.monitor.peak / MB, 1),
        "mb_per_1000": round(growth_per_1000(counts, memory), 3)
        if count >= _MIN_TREND_REQUESTS
        else None,
    }


def _wrong_samples(address: tuple[str, int]) -> int:
    """Return the number of sample photos that the server does not read correctly."""
    return sum(bool(violations(case, exchange(address, case, _DEADLINE_S))) for case in samples())


def _show(address: tuple[str, int], cases: Cases, number: int) -> int:
    """Send one case, print the request and the responses, and return the exit status."""
    case = cases.case(number)
    outcome = exchange(address, case, _DEADLINE_S + _GRACE_S)
    print(
        f"case {number}: {case.kind}, {case.ending}, {sum(map(len, case.pieces))} bytes\n"
        f"{b''.join(case.pieces)[:_SHOWN_BYTES]!r}"
    )
    for answer in outcome.responses:
        print(
            f"{answer.status} after {answer.seconds:.3f} s {answer.headers}\n"
            f"{answer.body[:_SHOWN_BYTES]!r}"
        )
    found = violations(case, outcome)
    print("no violations" if not found else "\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    main()
