"""The race: `python -m tools.benchmarks.serving --server PYTHON --envs FOLDER`, or `make bench`, which installs what it needs.

Prints a line a measurement, writes a page and plots, and ends with one line of JSON. `--again` writes them anew from the last race.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

from tools.benchmarks.serving.comparison import Course
from tools.benchmarks.serving.photos import SIZES, photos
from tools.benchmarks.serving.plots import draw
from tools.benchmarks.serving.report import line, page
from tools.benchmarks.serving.results import Race, saved
from tools.benchmarks.serving.servers import contenders


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("work/bench"),
        help="what the servers say and write, and every measurement",
    )
    parser.add_argument(
        "--docs", type=Path, default=Path("docs/benchmarks"), help="the page and its plots"
    )
    parser.add_argument(
        "--server",
        type=Path,
        default=Path(".venv/bin/python"),
        help="the Python that runs the server",
    )
    parser.add_argument(
        "--envs",
        type=Path,
        default=Path("tools/benchmarks/.envs"),
        help="the environments of the others",
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="of a measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--again",
        action="store_true",
        help="only the page, from what the last race in --work measured",
    )
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    kept = options.work / "race.json"
    race = saved(kept) if options.again else run(options)
    race.save(kept)
    options.docs.mkdir(parents=True, exist_ok=True)
    pictures = draw(race, list(SIZES), options.docs)
    (options.docs / "README.md").write_text(page(race, list(SIZES), pictures) + "\n")
    print(line(race, list(SIZES)))


def run(options: argparse.Namespace) -> Race:
    """The race with these options."""
    # An overloaded server may leave thousands of connections open; the children inherit this.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    racers = contenders(options.server.absolute(), options.envs.absolute())
    made = {size: photos(size) for size in SIZES}
    course = Course(
        racers,
        made,
        options.seconds,
        options.rounds,
        options.work.absolute(),
        lambda words: print(words, file=sys.stderr),
    )
    return course.run(f"make bench SECONDS={options.seconds:g} ROUNDS={options.rounds}")


if __name__ == "__main__":
    main()
