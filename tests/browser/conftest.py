"""A browser and servers for all tests of the page; a test fails if the browser complains of anything that it does not expect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import PATH, chromium
from tests.browser.server import Server
from tests.browser.visit import Visit

TOKEN = "one-token-for-the-tests"
Visiting = Callable[..., Visit]


# Not the session's: as long as it is there, no other test can have an event loop in this thread.
@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium with a key before its camera."""
    if PATH is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="package")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that asks for nothing."""
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


@pytest.fixture(scope="package")
def guarded(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that asks for a token for everything."""
    started = Server(
        tmp_path_factory.mktemp("guarded"), KEYLIKE_API_KEY=TOKEN, KEYLIKE_POLICY="all"
    )
    yield started
    started.stop()


@pytest.fixture
def visiting(browser: Browser) -> Iterator[Visiting]:
    """Makes visits, and looks at the end whether the browser complained. Without a service worker, unless they ask for one: its way
    through all the files would double what each visit takes."""
    visits: list[Visit] = []

    def visit(server: Server, *failures: str, **options: Any) -> Visit:
        visits.append(
            Visit(
                browser.new_context(**{"service_workers": "block", **options}),
                server.address,
                *failures,
            )
        )
        visits[-1].page.set_default_timeout(15_000)
        return visits[-1]

    yield visit
    for each in visits:
        each.context.close()
    assert [complaint for each in visits for complaint in each.complaints] == []


@pytest.fixture
def mortal(browser: Browser, tmp_path: Path) -> Iterator[Server]:
    """A server that the test may stop and start."""
    started = Server(tmp_path)
    yield started
    started.stop()
