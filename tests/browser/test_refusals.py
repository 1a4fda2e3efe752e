"""Refusals and failures: reason, advice and the possible next steps."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from keylike.readers.contract import Reason
from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tools.plain_pictures import BLUE, plain

NO_KEY: Any = {
    "name": "ground.png",
    "mimeType": "image/png",
    "buffer": plain(BLUE, "PNG", (640, 480)),
}


def failure(code: str, **more: Any) -> str:
    """Return the body of a failure as the server sends it."""
    return json.dumps(
        {
            "success": False,
            "error": "No.",
            "code": code,
            "request_id": "0123abcd",
            "timestamp": 1,
            "api_version": "2.0.0",
            **more,
        }
    )


def refuse(body: str, route: Route) -> None:
    """Answer in place of the server."""
    route.fulfill(status=422, body=body)


def test_unreadable_photo_shows_reason_advice_and_pose(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, "422").open().choose(NO_KEY, "refused")
    page = tab.page
    assert tab.title == "No key in this photo"
    expect(page.locator(".advice")).to_contain_text("Lay one house key flat on a plain surface")
    expect(page.locator("#outcome svg.pose")).to_be_visible()
    expect(page.locator("#announcement")).to_have_text("No key in this photo")
    expect(page.locator(".code")).to_have_count(0)
    page.click("#outcome >> text=Back")
    assert tab.choose(FIRST.path).code == FIRST.digits


def test_every_reason_has_its_own_title(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, "422").open()
    titles = set()
    for reason in Reason:
        body = failure(
            "unreadable",
            reason=reason.value,
            advice=f"Advice for {reason.value}.",
            model_used="caliper",
        )
        tab.page.route("**/predict", partial(refuse, body), times=1)
        tab.page.set_input_files("#file", [NO_KEY])
        expect(tab.page.locator(".advice")).to_have_text(f"Advice for {reason.value}.")
        titles.add(tab.title)
    assert len(titles) == len(Reason) and "The key could not be read" not in titles


def test_unreachable_server_is_shown_and_the_photo_can_be_sent_again(
    open_tab: OpenTab, restartable: Server
) -> None:
    tab = open_tab(restartable, "net::ERR_CONNECTION_REFUSED").open()
    restartable.stop()
    tab.choose(FIRST.path, "refused")
    assert tab.title == "The server cannot be reached"
    expect(tab.page.locator("#server")).to_have_text("Offline")
    restartable.start()
    tab.page.click("#retry")
    tab.page.wait_for_selector("main[data-state=read]")
    assert tab.code == FIRST.digits


def test_rate_limit_disables_retry_until_the_time_has_passed(
    open_tab: OpenTab, browser: object, tmp_path: Path
) -> None:
    limited = Server(tmp_path, KEYLIKE_LIMITS="on", KEYLIKE_LIMIT_ADDRESS="1 per minute")
    try:
        tab = open_tab(limited, "429")
        tab.page.clock.install()
        tab.open().choose(FIRST.path)
        tab.page.click("text=Read another")
        with tab.page.expect_response("**/predict") as refused:
            tab.choose(FIRST.path, "refused")
    finally:
        limited.stop()
    page, after = tab.page, int(refused.value.headers["retry-after"])
    assert (refused.value.status, tab.title) == (429, "Too many photos for now")
    assert 50 < after <= 60
    announced = re.search(r"in (\d+) seconds, at \d\d?:\d\d", page.inner_text(".advice"))
    assert announced and int(announced[1]) == after
    expect(page.locator("#retry")).to_be_disabled()
    expect(page.locator("#retry")).to_have_text(re.compile(r"Try again in \d+ s"))
    page.clock.fast_forward(after * 1000)
    expect(page.locator("#retry")).to_be_enabled()
    expect(page.locator("#retry")).to_have_text("Try again")


def test_busy_server_disables_retry_until_retry_after(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, "503").open()
    body = failure("overloaded")
    tab.page.route(
        "**/predict",
        lambda route: route.fulfill(status=503, body=body, headers={"Retry-After": "200"}),
        times=1,
    )
    tab.choose(FIRST.path, "refused")
    assert tab.title == "The server is busy"
    expect(tab.page.locator(".advice")).to_contain_text("in 4 minutes")
    expect(tab.page.locator("#retry")).to_have_text("Try again in 4 min")


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (502, "<html>Bad gateway</html>"),
        (200, "<html>You are about to tab</html>"),
        (200, "null"),
    ],
)
def test_response_of_another_program_counts_as_unreachable(
    open_tab: OpenTab, server: Server, status: int, content: str
) -> None:
    tab = open_tab(server, "502").open()
    tab.page.route("**/predict", lambda route: route.fulfill(status=status, body=content), times=1)
    tab.choose(FIRST.path, "refused")
    assert tab.title == "The server cannot be reached"


def test_response_text_is_never_rendered_as_html(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, "422").open()
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    body = failure("unreadable", reason="low_confidence", advice=hostile, model_used="caliper")
    tab.page.route("**/predict", lambda route: route.fulfill(status=422, body=body), times=1)
    tab.choose(NO_KEY, "refused")
    expect(tab.page.locator(".advice")).to_have_text(hostile)
    expect(tab.page.locator("#outcome img, #outcome script")).to_have_count(0)
