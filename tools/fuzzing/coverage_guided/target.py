"""The fuzzing process, in which libFuzzer calls `fuzz_one_input` with one input after the other.

libFuzzer ends the process, so `main` never returns.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(
    include=[
        "PIL",
        "pillow_heif",
        "multipart",
        "keylike.api",
        "keylike.images",
        "werkzeug.http",
        "werkzeug.formparser",
    ]
):
    from keylike.images.libraries import configure_image_libraries
    from tools.fuzzing.coverage_guided.entry_points import fuzz_one_input


def main() -> None:
    """Start libFuzzer with the arguments of the command line."""
    configure_image_libraries()
    atheris.Setup(sys.argv, lambda data: fuzz_one_input(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
