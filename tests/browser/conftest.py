"""Fixtures: a browser and servers. A test fails if the browser logs an unexpected error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import PATH, chromium
from tests.browser.server import Server
from tests.browser.tab import Tab

TOKEN = "one-token-for-the-tests"
OpenTab = Callable[..., Tab]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that `make test` leaves it to `make test-browser`."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("browser")


# Not of session scope: while Playwright runs, no other test can have an event loop in this thread.
@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return Chromium with a key in front of its camera."""
    if PATH is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="package")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server without access control."""
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


@pytest.fixture(scope="package")
def guarded(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that requires a token for everything."""
    started = Server(
        tmp_path_factory.mktemp("guarded"), KEYLIKE_API_KEY=TOKEN, KEYLIKE_POLICY="all"
    )
    yield started
    started.stop()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[OpenTab]:
    """Return a function that opens tabs, and check their errors at the end.

    Service workers are blocked by default, since fetching all files would double the time of each
    test.
    """
    tabs: list[Tab] = []

    def new_tab(server: Server, *failures: str, **options: Any) -> Tab:
        tabs.append(
            Tab(
                browser.new_context(**{"service_workers": "block", **options}),
                server.address,
                *failures,
            )
        )
        tabs[-1].page.set_default_timeout(15_000)
        return tabs[-1]

    yield new_tab
    for each in tabs:
        each.context.close()
    assert [error for tab in tabs for error in tab.errors] == []


@pytest.fixture
def restartable(browser: Browser, tmp_path: Path) -> Iterator[Server]:
    """Return a server that the test may stop and start."""
    started = Server(tmp_path)
    yield started
    started.stop()
