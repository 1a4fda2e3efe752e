"""Check the page in all combinations: python -m tests.browser.audit

Every state, language, colour scheme, width and text size with axe, and for texts that do not fit.
The tests check a part of them.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import chromium
from tests.browser.server import Server
from tests.browser.tab import Tab
from tests.browser.test_look import LANGUAGES, SCHEMES, STATES, TEXT_SIZES, WIDTHS, View


def main() -> int:
    """Print each fault and the number of checks; return 1 if there are faults."""
    faults = checks = 0
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as browser:
        server = Server(Path(folder))
        for name, enter in STATES.items():
            context = browser.new_context(
                permissions=["camera"], reduced_motion="reduce", service_workers="block"
            )
            tab = Tab(context, server.address, "422").open()
            view = View(tab)
            enter(tab)
            for language, width, size in itertools.product(LANGUAGES, WIDTHS, TEXT_SIZES):
                view.show(language)
                view.resize(width, size)
                found = [*view.cut_off()]
                for scheme in SCHEMES:
                    found += [f"{scheme}: {each}" for each in view.violations(scheme)]
                    checks += 1
                faults += len(found)
                for fault in found:
                    print(f"{name}, {language}, {width} px, text {size} px: {fault}")
            context.close()
        server.stop()
    print(f"{checks} checks, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
