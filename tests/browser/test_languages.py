"""Languages: chosen by the browser or the user, complete, and without English remains."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from keylike.keys.bitting import Bitting
from keylike.keys.keyways import Keyway, keyways
from keylike.keys.risk import assess
from keylike.readers.contract import Reason
from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST
from tests.browser.server import Server

LANGUAGES = ("en", "es", "de", "fr")
START = {
    "en": "Choose a photo",
    "es": "Elegir una foto",
    "de": "Foto wählen",
    "fr": "Choisir une photo",
}
FILES = """async names => Object.fromEntries(await Promise.all(
  names.map(async name => [name, { ...(await import(`/web/languages/${name}.js`)) }])))"""
TRANSLATE = """async sentences => {
  const { translated } = await import("/web/parts/language.js")
  return sentences.map(translated)
}"""
# Every text of the document, without those that are marked as English.
TEXTS = """() => [...document.querySelectorAll("body *")]
  .filter(each => !each.closest("[lang=en], [aria-live], .work, .more, noscript, code, option, dd"))
  .flatMap(each => [...each.childNodes].filter(node => node.nodeType === 3).map(node => node.data))"""


@pytest.mark.parametrize(("locale", "expected"), [("de-CH", "de"), ("es-419", "es"), ("pl", "en")])
def test_language_follows_the_browser(
    open_tab: OpenTab, server: Server, locale: str, expected: str
) -> None:
    page = open_tab(server, locale=locale).open().page
    assert page.get_attribute("html", "lang") == expected
    expect(page.locator(".choices .button")).to_have_text(START[expected])
    expect(page.locator("#language")).to_have_value(expected)
    expect(page.locator("#language-code")).to_have_text(expected.upper())


def test_first_known_language_of_several_is_taken(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server)
    tab.page.add_init_script(
        "Object.defineProperty(navigator, 'languages', { value: ['pl', 'fr-CA', 'de'] })"
    )
    assert tab.open().page.get_attribute("html", "lang") == "fr"


def test_chosen_language_is_shown_at_once_and_remembered(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, locale="de").open().choose(FIRST.path)
    page = tab.page
    page.click("#edit")
    page.select_option("#depth-2", "1")
    tab.switch("fr")
    assert tab.code == ["5", "1", "6", "8", "3"]
    expect(page.locator(".edits strong")).to_have_text("Corrigé à la main")
    expect(page.locator("#server")).to_contain_text("Prêt")
    assert re.fullmatch(r"\d,\d\d mm", page.inner_text("#cuts tbody td:nth-child(3) >> nth=0"))
    page.reload()
    expect(page.locator(".choices .button")).to_have_text(START["fr"])
    assert len(tab.sent("/predict")) == 1


def test_no_text_of_a_reading_stays_english(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open().choose(FIRST.path)
    texts = {}
    for language in LANGUAGES:
        tab.switch(language)
        texts[language] = {text.strip() for text in tab.page.evaluate(TEXTS) if len(text) > 12}
    for one, other in itertools.combinations(LANGUAGES, 2):
        assert texts[one] & texts[other] == set(), (one, other)


def test_every_language_has_the_same_texts_with_the_same_placeholders(
    open_tab: OpenTab, server: Server
) -> None:
    files = open_tab(server).open().page.evaluate(FILES, list(LANGUAGES))
    english = files["en"]["texts"]
    for language in LANGUAGES[1:]:
        texts = files[language]["texts"]
        assert list(texts) == list(english), language
        for key, text in texts.items():
            assert placeholders(text) == placeholders(english[key]), (language, key)
            assert isinstance(text, str) or list(text) == ["one", "other"]
        assert set(files[language]["advice"]) == {reason.value for reason in Reason}
        assert list(files[language]["sentences"]) == list(files["de"]["sentences"])
        for sentence, translation in files[language]["sentences"].items():
            assert placeholders(sentence) == placeholders(translation), (language, sentence)


def placeholders(text: Any) -> set[str]:
    """Return the placeholders of a text or of its forms."""
    forms = text.values() if isinstance(text, dict) else [text]
    found = [set(re.findall(r"\{(\w+)\}", form)) for form in forms]
    assert all(each == found[0] for each in found)
    return found[0]


def test_every_sentence_about_a_code_is_translated(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open()
    sentences = sorted(assessment_sentences())
    assert len(sentences) > 35
    for language in LANGUAGES[1:]:
        tab.switch(language)
        found = tab.page.evaluate(TRANSLATE, [*sentences, "A sentence of a later server."])
        assert found.pop() is None
        missing = [text for text, other in zip(sentences, found, strict=True) if not other]
        assert (missing, [text for text in found if "{" in text]) == ([], [])


def assessment_sentences() -> set[str]:
    """Return what the server says about codes of every keyway and with every weak pattern."""
    found: set[str] = set()
    for keyway in keyways().values():
        for code in codes(keyway):
            said = assess(Bitting(keyway, code)).to_dict()
            found |= {said["keyed_alike"]["sentence"], *said["recommendations"]}
            found |= {said[name]["explanation"] for name in ("blank", "bump_exposure")}
            found |= {pattern["explanation"] for pattern in said["weak_patterns"]}
            found |= {part["why"] for part in said["parts"]}
    return found


def codes(keyway: Keyway) -> list[tuple[int, ...]]:
    """Return codes that show all patterns: equal, rising, jumping, alternating and sold."""
    depths, cuts = sorted(keyway.depths_mm), keyway.cut_counts[0]
    rising = (depths * cuts)[:cuts]
    jumping = [depths[0], depths[-1]] * cuts
    middle = depths[len(depths) // 2]
    varied = [middle, depths[1], depths[-2], depths[2], middle, depths[1], depths[-2]] * 2
    sold = [tuple(int(digit) for digit in code) for code in sorted(keyway.factory_codes)]
    made = (
        [middle] * cuts,
        rising,
        jumping[:cuts],
        jumping[1 : cuts + 1],
        varied[:cuts],
    )
    return [tuple(code) for code in made] + sold
