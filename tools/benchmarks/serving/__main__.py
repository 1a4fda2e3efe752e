"""Compare Keylike with other servers: `make bench`, or run the module.

`make bench` installs the servers and then runs `python -m tools.benchmarks.serving --server PYTHON
--envs FOLDER`. The command prints one line for each measurement, writes a Markdown page with plots,
and prints a last line of JSON. With `--again` it measures nothing and writes the page from the
results of the previous run.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

from tools.benchmarks.serving.comparison import Comparison
from tools.benchmarks.serving.photos import SIZES, photos
from tools.benchmarks.serving.plots import draw
from tools.benchmarks.serving.report import json_line, page
from tools.benchmarks.serving.results import ComparisonResults, load_results
from tools.benchmarks.serving.servers import server_specs


def main() -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("work/bench"),
        help="folder for the servers' output and all measurements",
    )
    parser.add_argument(
        "--docs",
        type=Path,
        default=Path("docs/benchmarks"),
        help="folder for the page and its plots",
    )
    parser.add_argument(
        "--server",
        type=Path,
        default=Path(".venv/bin/python"),
        help="Python interpreter that runs Keylike",
    )
    parser.add_argument(
        "--envs",
        type=Path,
        default=Path("tools/benchmarks/.envs"),
        help="folder with one virtual environment per compared server",
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="seconds per measurement")
    parser.add_argument("--rounds", type=int, default=2, help="rounds over all servers")
    parser.add_argument(
        "--again",
        action="store_true",
        help="write the page again from the previous results in --work",
    )
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    saved = options.work / "comparison.json"
    results = load_results(saved) if options.again else run(options)
    results.save(saved)
    options.docs.mkdir(parents=True, exist_ok=True)
    plots = draw(results, list(SIZES), options.docs)
    (options.docs / "README.md").write_text(page(results, list(SIZES), plots) + "\n")
    print(json_line(results, list(SIZES)))


def run(options: argparse.Namespace) -> ComparisonResults:
    """Run the comparison with these options and return the results."""
    # Allow as many open files as the system permits: an overloaded server may keep thousands of
    # connections open. Child processes inherit this limit.
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    specs = server_specs(options.server.absolute(), options.envs.absolute())
    samples = {size: photos(size) for size in SIZES}
    comparison = Comparison(
        specs,
        samples,
        options.seconds,
        options.rounds,
        options.work.absolute(),
        lambda message: print(message, file=sys.stderr),
    )
    return comparison.run(f"make bench SECONDS={options.seconds:g} ROUNDS={options.rounds}")


if __name__ == "__main__":
    main()
