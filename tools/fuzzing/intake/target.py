"""The searching process itself: libFuzzer's driver around `look_at`, which does not come back but ends the process."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(
    include=[
        "PIL",
        "pillow_heif",
        "multipart",
        "api",
        "utils",
        "werkzeug.http",
        "werkzeug.formparser",
    ]
):
    from keylike.images.libraries import configure_image_libraries
    from tools.fuzzing.intake.doors import look_at


def main() -> None:
    """Takes libFuzzer's own arguments."""
    configure_image_libraries()
    atheris.Setup(sys.argv, lambda data: look_at(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
