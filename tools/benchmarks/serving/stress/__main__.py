"""Run the stress scenarios.

The command is `python -m tools.benchmarks.serving.stress --work DIR [--quick] [NAME…]`. Without
names, all scenarios run. The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path

from tools.benchmarks.serving.photos import photos
from tools.benchmarks.serving.stress.backlog import backlog
from tools.benchmarks.serving.stress.batch import batch
from tools.benchmarks.serving.stress.contract import Outcome, Scenario, ScenarioOptions
from tools.benchmarks.serving.stress.crowd import crowd
from tools.benchmarks.serving.stress.flood import flood
from tools.benchmarks.serving.stress.growth import growth
from tools.benchmarks.serving.stress.half_sent import half_sent
from tools.benchmarks.serving.stress.identical import identical
from tools.benchmarks.serving.stress.polling_stop import polling_stop
from tools.benchmarks.serving.stress.slow_clients import slow_clients
from tools.benchmarks.serving.stress.stop import stop

SCENARIOS: dict[str, Scenario] = {
    "identical": identical,
    "batch": batch,
    "stop": stop,
    "polling-stop": polling_stop,
    "backlog": backlog,
    "slow-clients": slow_clients,
    "half-sent": half_sent,
    "crowd": crowd,
    "flood": flood,
    "growth": growth,
}


def main() -> None:
    """Run the scenarios from the command line, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"scenarios to run (default: all): {', '.join(SCENARIOS)}",
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for logs")
    parser.add_argument(
        "--quick", action="store_true", help="short runs without the targets that need long ones"
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"unknown scenarios: {', '.join(sorted(unknown))}")
    scenario_options = ScenarioOptions(options.work, options.quick, cache(photos))
    outcomes = {name: _run_scenario(name, scenario_options) for name in options.names or SCENARIOS}
    print(
        json.dumps(
            {
                "quick": options.quick,
                "met": all(all(outcome.targets.values()) for outcome in outcomes.values()),
                "scenarios": {
                    name: {"figures": outcome.figures, "targets": outcome.targets}
                    for name, outcome in outcomes.items()
                },
            }
        )
    )


def _run_scenario(name: str, scenario_options: ScenarioOptions) -> Outcome:
    outcome = SCENARIOS[name](scenario_options)
    print(name)
    for figure, value in outcome.figures.items():
        print(f"  {figure}: {json.dumps(_rounded(value))}")
    for target, met in outcome.targets.items():
        print(f"  {'met   ' if met else 'MISSED'} {target}", flush=True)
    return outcome


def _rounded(value: object) -> object:
    """Return the value with numbers rounded to four digits. The JSON line has all digits."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
