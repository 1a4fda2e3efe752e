"""No reading: what the page says, advises and offers when a photo cannot be read, or the server cannot or will not."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from keylike.readers.contract import Reason
from tests.browser.conftest import Visiting
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tools.plain_pictures import BLUE, plain

NO_KEY: Any = {
    "name": "ground.png",
    "mimeType": "image/png",
    "buffer": plain(BLUE, "PNG", (640, 480)),
}


def failure(code: str, **more: Any) -> str:
    """A body as the server writes it."""
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
    """Answers in the server's place."""
    route.fulfill(status=422, body=body)


def test_unreadable_photo_gets_reason_advice_and_a_picture_of_the_pose(
    visiting: Visiting, server: Server
) -> None:
    visit = visiting(server, "422").open().choose(NO_KEY, "refused")
    page = visit.page
    assert visit.title == "No key on this photo"
    expect(page.locator(".advice")).to_contain_text("Lay one house key flat on a plain surface")
    expect(page.locator("#outcome svg.pose")).to_be_visible()
    expect(page.locator("#say")).to_have_text("No key on this photo")
    expect(page.locator(".code")).to_have_count(0)
    page.click("#outcome >> text=Back")
    assert visit.choose(FIRST.path).code == FIRST.digits


def test_every_reason_has_a_title_of_its_own(visiting: Visiting, server: Server) -> None:
    visit = visiting(server, "422").open()
    titles = set()
    for reason in Reason:
        body = failure(
            "unreadable",
            reason=reason.value,
            advice=f"Advice for {reason.value}.",
            model_used="caliper",
        )
        visit.page.route("**/predict", partial(refuse, body), times=1)
        visit.page.set_input_files("#file", [NO_KEY])
        expect(visit.page.locator(".advice")).to_have_text(f"Advice for {reason.value}.")
        titles.add(visit.title)
    assert len(titles) == len(Reason) and "It could not be read" not in titles


def test_server_that_goes_away_is_told_and_the_photo_can_be_sent_again(
    visiting: Visiting, mortal: Server
) -> None:
    visit = visiting(mortal, "net::ERR_CONNECTION_REFUSED").open()
    mortal.stop()
    visit.choose(FIRST.path, "refused")
    assert visit.title == "The server cannot be reached"
    expect(visit.page.locator("#server")).to_have_text("Away")
    mortal.start()
    visit.page.click("#retry")
    visit.page.wait_for_selector("main[data-state=read]")
    assert visit.code == FIRST.digits


def test_rate_limit_tells_when_and_holds_the_button_until_then(
    visiting: Visiting, browser: object, tmp_path: Path
) -> None:
    limited = Server(tmp_path, KEYLIKE_LIMITS="on", KEYLIKE_LIMIT_ADDRESS="1 per minute")
    try:
        visit = visiting(limited, "429")
        visit.page.clock.install()
        visit.open().choose(FIRST.path)
        visit.page.click("text=Read another")
        with visit.page.expect_response("**/predict") as refused:
            visit.choose(FIRST.path, "refused")
    finally:
        limited.stop()
    page, after = visit.page, int(refused.value.headers["retry-after"])
    assert (refused.value.status, visit.title) == (429, "Too many photos for now")
    assert 50 < after <= 60
    told = re.search(r"in (\d+) seconds, at \d\d?:\d\d", page.inner_text(".advice"))
    assert told and int(told[1]) == after
    expect(page.locator("#retry")).to_be_disabled()
    expect(page.locator("#retry")).to_have_text(re.compile(r"Try again in \d+ s"))
    page.clock.fast_forward(after * 1000)
    expect(page.locator("#retry")).to_be_enabled()
    expect(page.locator("#retry")).to_have_text("Try again")


def test_busy_server_is_waited_for(visiting: Visiting, server: Server) -> None:
    visit = visiting(server, "503").open()
    body = failure("overloaded")
    visit.page.route(
        "**/predict",
        lambda route: route.fulfill(status=503, body=body, headers={"Retry-After": "200"}),
        times=1,
    )
    visit.choose(FIRST.path, "refused")
    assert visit.title == "The server is busy"
    expect(visit.page.locator(".advice")).to_contain_text("in 4 minutes")
    expect(visit.page.locator("#retry")).to_have_text("Try again in 4 min")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (502, "<html>Bad gateway</html>"),
        (200, "<html>You are about to visit</html>"),
        (200, "null"),
    ],
)
def test_answer_of_something_else_than_the_server_counts_as_none(
    visiting: Visiting, server: Server, status: int, said: str
) -> None:
    visit = visiting(server, "502").open()
    visit.page.route("**/predict", lambda route: route.fulfill(status=status, body=said), times=1)
    visit.choose(FIRST.path, "refused")
    assert visit.title == "The server cannot be reached"


def test_what_the_server_says_is_shown_as_text(visiting: Visiting, server: Server) -> None:
    """Whatever comes in an answer, none of it becomes part of the page."""
    visit = visiting(server, "422").open()
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    body = failure("unreadable", reason="low_confidence", advice=hostile, model_used="caliper")
    visit.page.route("**/predict", lambda route: route.fulfill(status=422, body=body), times=1)
    visit.choose(NO_KEY, "refused")
    expect(visit.page.locator(".advice")).to_have_text(hostile)
    expect(visit.page.locator("#outcome img, #outcome script")).to_have_count(0)
