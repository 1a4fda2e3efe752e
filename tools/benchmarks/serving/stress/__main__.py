"""Puts the server on trial: `python -m tools.benchmarks.serving.stress --work DIR [--quick] [NAME…]`. The last line is JSON."""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path

from tools.benchmarks.serving.photos import photos
from tools.benchmarks.serving.stress.backlog import backlog
from tools.benchmarks.serving.stress.batch import batch
from tools.benchmarks.serving.stress.contract import Outcome, Terms, Trial
from tools.benchmarks.serving.stress.flood import flood
from tools.benchmarks.serving.stress.grow import grow
from tools.benchmarks.serving.stress.halves import halves
from tools.benchmarks.serving.stress.same import same
from tools.benchmarks.serving.stress.slow import slow
from tools.benchmarks.serving.stress.stop import stop

TRIALS: dict[str, Trial] = {
    "same": same,
    "batch": batch,
    "stop": stop,
    "backlog": backlog,
    "slow": slow,
    "halves": halves,
    "flood": flood,
    "grow": grow,
}


def main() -> None:
    """One after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(TRIALS)}; all without one"
    )
    parser.add_argument("--work", type=Path, required=True, help="a folder for logs")
    parser.add_argument(
        "--quick", action="store_true", help="short runs, which leave out what only long ones show"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(TRIALS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    terms = Terms(arguments.work, arguments.quick, cache(photos))
    outcomes = {name: _tried(name, terms) for name in arguments.names or TRIALS}
    print(
        json.dumps(
            {
                "quick": arguments.quick,
                "met": all(all(outcome.targets.values()) for outcome in outcomes.values()),
                "trials": {
                    name: {"figures": outcome.figures, "targets": outcome.targets}
                    for name, outcome in outcomes.items()
                },
            }
        )
    )


def _tried(name: str, terms: Terms) -> Outcome:
    outcome = TRIALS[name](terms)
    print(name)
    for figure, value in outcome.figures.items():
        print(f"  {figure}: {json.dumps(_short(value))}")
    for target, met in outcome.targets.items():
        print(f"  {'met   ' if met else 'MISSED'} {target}", flush=True)
    return outcome


def _short(value: object) -> object:
    """For reading: the JSON at the end has all digits."""
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
