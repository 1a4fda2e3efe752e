"""Refusals and failures: reason, advice and the possible next steps."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

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

NO_PICTURE: Any = {"name": "notes.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"}


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


def test_every_reason_has_its_own_title_and_translated_advice(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server, "422").open()
    page = tab.page
    titles, advice = set(), set()
    for reason in Reason:
        body = failure(
            "unreadable",
            reason=reason.value,
            advice=f"Advice for {reason.value}.",
            model_used="caliper",
        )
        page.route("**/predict", partial(refuse, body), times=1)
        page.set_input_files("#file", [NO_KEY])
        expect(page.locator(".advice")).to_have_text(f"Advice for {reason.value}.")
        titles.add(tab.title)
        tab.switch("de")
        expect(page.locator(".advice")).not_to_contain_text("Advice")
        advice.add(page.inner_text(".advice"))
        titles.add(tab.title)
        tab.switch("en")
    assert len(advice) == len(Reason)
    assert len(titles) == 2 * len(Reason)
    assert not titles & {"The key could not be read", "Der Schlüssel war nicht zu lesen"}


def test_advice_for_an_unknown_reason_stays_english(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, "422", locale="de-AT").open()
    body = failure("unreadable", reason="a_later_reason", advice="Use more light.")
    tab.page.route("**/predict", partial(refuse, body), times=1)
    tab.choose(NO_KEY, "refused")
    assert tab.title == "Der Schlüssel war nicht zu lesen"
    expect(tab.page.locator(".advice[lang=en]")).to_have_text("Use more light.")


def test_unreachable_server_is_shown_and_the_photo_can_be_sent_again(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server, "net::ERR_INTERNET_DISCONNECTED").open()
    tab.context.set_offline(True)
    tab.choose(FIRST.path, "refused")
    assert tab.title == "The server cannot be reached"
    expect(tab.page.locator("#server")).to_have_text("Offline")
    tab.context.set_offline(False)
    tab.page.click("#retry")
    tab.page.wait_for_selector("main[data-state=read]")
    assert tab.code == FIRST.digits


def test_rate_limit_disables_retry_until_the_time_has_passed(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server, "429")
    page = tab.page
    page.clock.install()
    tab.open()
    body = failure("rate_limited")
    page.route(
        "**/predict",
        lambda route: route.fulfill(status=429, body=body, headers={"Retry-After": "60"}),
        times=1,
    )
    tab.choose(FIRST.path, "refused")
    assert tab.title == "Too many photos for now"
    assert re.search(r"in (59|60) seconds, at \d\d?:\d\d", page.inner_text(".advice"))
    expect(page.locator("#retry")).to_be_disabled()
    expect(page.locator("#retry")).to_have_text(re.compile(r"Try again in \d+ s"))
    tab.switch("de")
    expect(page.locator("#retry")).to_have_text(re.compile(r"Erneut in \d+ s"))
    expect(page.locator("#retry")).to_be_disabled()
    page.clock.fast_forward(60_000)
    expect(page.locator("#retry")).to_be_enabled()
    expect(page.locator("#retry")).to_have_text("Erneut versuchen")
    page.click("#retry")
    page.wait_for_selector("main[data-state=read]")
    assert tab.code == FIRST.digits


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


def test_response_of_another_program_counts_as_unreachable(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server, "502").open()
    for status, content in (
        (502, "<html>Bad gateway</html>"),
        (200, "<html>You are about to tab</html>"),
        (200, "null"),
    ):
        respond = partial(respond_with, status, content)
        tab.page.route("**/predict", respond, times=1)
        tab.choose(FIRST.path, "refused")
        assert tab.title == "The server cannot be reached"
        tab.page.click("#outcome >> text=Start over")


def respond_with(status: int, body: str, route: Route) -> None:
    """Answer in place of the server."""
    route.fulfill(status=status, body=body)


def test_response_text_is_never_rendered_as_html(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, "422").open()
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    body = failure("unreadable", reason="low_confidence", advice=hostile, model_used="caliper")
    tab.page.route("**/predict", lambda route: route.fulfill(status=422, body=body), times=1)
    tab.choose(NO_KEY, "refused")
    expect(tab.page.locator(".advice")).to_have_text(hostile)
    expect(tab.page.locator("#outcome img, #outcome script")).to_have_count(0)


def test_wrong_file_is_named_and_another_can_be_chosen(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open()
    page = tab.page
    for name, content, title in (
        ("notes.pdf", b"%PDF-1.7 nothing to see", "This file is not a picture"),
        ("key.jpg", b"hello", "This file is not a picture"),
        ("IMG_1.HEIC", b"", "This file is empty"),
        ("clip.mp4", b"\0\0\0\x18ftypmp42" + bytes(40), "This file is not a picture"),
    ):
        tab.choose({"name": name, "mimeType": "image/jpeg", "buffer": content}, "refused")
        expect(page.locator(".advice")).to_contain_text(f"“{name}”")
        assert tab.title == title
        expect(page.locator("#stage")).to_be_hidden()
    assert tab.sent("/predict") == []
    with page.expect_file_chooser() as chooser:
        page.click("#choose-another")
    chooser.value.set_files(FIRST.path)
    page.wait_for_selector("main[data-state=read]")
    assert tab.code == FIRST.digits


def test_picture_that_the_server_refuses_lets_the_user_choose_another(
    open_tab: OpenTab, server: Server
) -> None:
    tiff = {"name": "scan.tif", "mimeType": "image/tiff", "buffer": b"II*\0" + bytes(60)}
    tab = open_tab(server, "415").open().choose(tiff, "refused")
    assert tab.title == "Unsupported picture format"
    expect(tab.page.locator("#choose-another")).to_be_visible()
    expect(tab.page.locator("#retry")).to_have_count(0)
