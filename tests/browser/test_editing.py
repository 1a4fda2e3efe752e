"""Cuts corrected by hand: the reading, its drawing, copies and history say that it was edited."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST, SECOND
from tests.browser.server import Server
from tests.browser.test_history import turn_on
from tests.browser.test_reading import CLIPBOARD

EDITED = ["5", "2", "6", "8", "3"]


def test_corrected_cut_marks_the_reading_as_edited_everywhere(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server, permissions=CLIPBOARD).open()
    page = tab.page
    turn_on(page)
    tab.choose(FIRST.path)
    page.click("#edit")
    assert page.evaluate("document.activeElement.id") == "depth-1"
    page.select_option("#depth-2", EDITED[1])
    assert page.evaluate("document.activeElement.id") == "depth-2"
    page.click("#edit")
    assert tab.code == EDITED
    expect(page.locator("#announcement")).to_have_text(
        "Reading: SC1, code 5,2,6,8,3, edited by hand"
    )
    expect(page.locator(".edits")).to_contain_text(f"The photo was read as {FIRST.bitting}")
    expect(page.locator(".sure")).to_have_count(0)
    expect(page.locator(".score")).to_have_count(0)
    expect(page.locator("#cuts tbody tr >> nth=1")).to_contain_text("read: 0")
    expect(page.locator("#cuts tbody tr >> nth=1")).to_contain_text("by hand")
    for view in page.locator("svg.drawn").all():
        assert view.locator(".depth").all_text_contents() == EDITED
        assert view.locator(".edited .depth").all_text_contents() == [EDITED[1]]
    page.click("#copy")
    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "5,2,6,8,3 (edited by hand)"
    page.click("#share")
    expect(page.locator("#share")).to_have_text("Copied")
    assert (
        page.evaluate("navigator.clipboard.readText()") == "Schlage SC1: 5,2,6,8,3 (edited by hand)"
    )
    page.click("#open-history")
    expect(page.locator(".saved code")).to_have_text("5,2,6,8,3")
    expect(page.locator(".saved .when")).to_contain_text("edited by hand")
    page.click("[data-action=open]")
    expect(page.locator("#about")).to_contain_text("From your history")
    assert tab.code == EDITED
    page.click("#undo-edits")
    assert tab.code == FIRST.digits
    expect(page.locator(".edits")).to_have_count(0)
    expect(page.locator(".score")).to_have_count(1)
    page.click("#open-history")
    expect(page.locator(".saved .when")).to_contain_text("confidence")


def test_depth_set_back_to_the_one_that_was_read_is_no_edit(
    open_tab: OpenTab, server: Server
) -> None:
    page = open_tab(server).open().choose(FIRST.path).page
    page.click("#edit")
    page.select_option("#depth-1", "4")
    expect(page.locator(".edits")).to_have_count(1)
    page.select_option("#depth-1", FIRST.digits[0])
    expect(page.locator(".edits")).to_have_count(0)


def test_only_depths_of_the_maker_can_be_chosen(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open().choose(FIRST.path)
    tab.page.click("#edit")
    options = tab.page.locator("#depth-1 option")
    assert options.all_text_contents() == [str(depth) for depth in range(10)]
    tab.choose(SECOND.path)
    expect(tab.page.locator("#outcome-title")).to_contain_text("KW1")
    tab.page.click("#edit")
    assert options.all_text_contents() == [str(depth) for depth in range(1, 8)]
