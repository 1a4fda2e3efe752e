"""Tests of parsing a model's reply: accepted formats, replies without a code, and positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway, keyways
from keylike.readers.gemma.model_output import Trust
from keylike.readers.reply import Reply, parse_reply, says_none
from tests.keys.test_bitting import bittings

TRAINED = ("SC1", "SC4", "KW1")
ALL = tuple(keyways())
CODE = (2, 5, 4, 7, 3)
FIGURES = "BRAND: Schlage\nCONFIDENCE: 0.87\nPRODUCTION: 30000000\nCOMPLEXITY: 55\n"
LONG = "KEYWAY: SC1\nBITTING: 2,5,4,7,3\n" + FIGURES

LABELLED = {
    "short": "BITTING: 2,5,4,7,3",
    "blanks": "Bitting 2 5 4 7 3",
    "dashes": "bitting = 2-5-4-7-3",
    "en dashes": "BITTING: 2\u20135\u20134\u20137\u20133",
    "semicolons": "BITTING: 2; 5; 4; 7; 3",
    "no-break blanks": "BITTING:\xa02,\xa05,\xa04,\xa07,\xa03",
    "adjacent digits": "BITTING: 25473",
    "no spaces": "BITTING:2,5,4,7,3",
    "bold": "**BITTING:** 2, 5, 4, 7, 3",
    "bold underscores": "__Bitting__: 2, 5, 4, 7, 3",
    "bullet": "- **Bitting**: `25473`",
    "numbered": "1. KEYWAY: SC1\n2. BITTING: 25473",
    "sentence": "Bitting is 2,5,4,7,3.",
    "bow to tip": "BITTING (bow to tip): 2,5,4,7,3",
    "bow to tip after": "BITTING: 2,5,4,7,3 (bow to tip)",
    "fence": "```\nBITTING: 2,5,4,7,3\n```",
    "heading": "## Bitting\n\n2,5,4,7,3",
    "on the next line": "BITTING:\r\n2,5,4,7,3",
    "after an empty label": "KEYWAY:\nBitting 2 5 4 7 3",
    "brackets": "BITTING: [2,5,4,7,3]",
    "table": "| KEYWAY | SC1 |\n| BITTING | 2,5,4,7,3 |",
    "one line": "KEYWAY: SC1, BITTING: 2,5,4,7,3, BRAND: Schlage",
    "number labels without numbers": "CONFIDENCE: high\nBITTING: 25473\nPRODUCTION: many\nBRAND: Schlage",
    "json": '{"keyway": "SC1", "bitting": "2,5,4,7,3"}',
    "json lines": '{\n  "bitting": [2, 5, 4, 7, 3],\n  "brand": "Schlage"\n}',
    "json text lines": '{\n  "bitting": "2,5,4,7,3",\n  "brand": "Schlage"\n}',
    "long": LONG,
    "long, crlf": LONG.replace("\n", "\r\n"),
    "long, lone cr": LONG.replace("\n", "\r"),
    "long, other order": FIGURES + "BITTING: 25473\nKEYWAY: SC1",
    "repeated": "BITTING: 2,5,4,7,3\nBITTING: 25473",
    "followed by much text": "BITTING: 2,5,4,7,3\n" + "and so on\n" * 1000,
    "with an unlabelled run": "BITTING: 2,5,4,7,3\n11111",
}
LOOSE = {
    "bare": "25473",
    "bare, commas": "2,5,4,7,3",
    "bare, crlf": "\r\n25473\r\n",
    "bold": "**2 5 4 7 3**",
    "bullet": "- 2-5-4-7-3",
    "sentence": "The code is 2,5,4,7,3.",
    "sentence, adjacent digits": "I think that the code is 25473. I am fairly sure.",
    "label": "Code: 25473",
    "bold label": "**Key code**: 25473",
    "on the next line": "The bitting is:\n\n**2, 5, 4, 7, 3**",
    "bow to tip": "Its code is 2,5,4,7,3 from bow to tip.",
    "keyway in prose": "This is an SC1 key. The cuts are 2, 5, 4, 7, 3.",
    "with number labels": "25473\n" + FIGURES,
    "with a five-digit number label": "25473\nCOMPLEXITY: 55555",
    "above a small number": "25473\n55",
    "with a range": "The code is 25473. Such keys have 5-6 pins.",
    "with a part number": "The code is 25473.\nLike B12345X, 0.12345 thick.",
    "keyway line": "KEYWAY: SC1\n25473",
    "repeated": "The code is 25473.\n2,5,4,7,3",
}
REFUSED = {
    "nothing": "",
    "blank": " \r\n\t",
    "prose": "I cannot see a key in this photo.",
    "more cuts than any key": "BITTING: 2,5,4,7,3,1,1,1",
    "fewer cuts than any key": "BITTING: 2,5,4",
    "more adjacent digits than any key": "BITTING: 25473111",
    "too many for the keyway named": "KEYWAY: SC1\nBITTING: 2,5,4,7,3,1",
    "too few for the keyway named": "KEYWAY: SC4\nBITTING: 2,5,4,7,3",
    "ends with a comma": "BITTING: 2,5,4,7,3,",
    "continues on the next line": "KEYWAY: SC1\nBITTING: 2,5,4,7,3\n,1",
    "unreadable sixth cut": "BITTING: 2,5,4,7,3,?",
    "unreadable fifth cut": "BITTING: 2,5,4,7,x",
    "two kinds of separators": "BITTING: 2,5,4,7,3 1",
    "decimals": "BITTING: 2.5,5.1,4,7,3",
    "negative number": "BITTING: -2,5,4,7,3",
    "three-digit number": "BITTING: 2,5,4,7,300",
    "a word after": "BITTING: 2,5,4,7,3 or 2,5,4,7,4",
    "tip to bow": "BITTING: 2,5,4,7,3 (tip to bow)",
    "tip to bow in label": "BITTING (tip to bow): 2,5,4,7,3",
    "words for numbers": "BITTING: two, five, four, seven, three",
    "full-width digits": "BITTING: \uff12,\uff15,\uff14,\uff17,\uff13",
    "adjacent full-width digits": "\uff12\uff15\uff14\uff17\uff13",
    "arabic digits": "BITTING: \u0662,\u0665,\u0664,\u0667,\u0663",
    "one arabic digit": "BITTING: 2,5,4,7,\u0663",
    "an additional arabic digit": "25473\u0663",
    "superscript": "BITTING: 25473\u00b2",
    "template of x": "BITTING: x,x,x,x,x",
    "template of d": "KEYWAY: SC1\nBITTING: d,d,d,d,d",
    "template in brackets": "KEYWAY: [keyway]\nBITTING: [pattern]",
    "template in braces": "KEYWAY: {keyway}\nBITTING: {bitting}",
    "two bitting lines": "BITTING: 2,5,4,7,3\nBITTING: 2,5,4,7,4",
    "template, then a code": "BITTING: [pattern]\nBITTING: 2,5,4,7,3",
    "two bitting lines, one too long": "BITTING: 2,5,4,7,3\nBITTING: 2,5,4,7,3,1,1",
    "two keyways": "KEYWAY: SC1\nBITTING: 2,5,4,7,3\nKEYWAY: KW1",
    "keyway or keyway": "KEYWAY: SC1 or KW1\nBITTING: 2,5,4,7,3",
    "two keyways in prose": "An SC1 or a KW1. The code is 2,5,4,7,3.",
    "no key with a code": "KEYWAY: NONE\nBITTING: 2,5,4,7,3",
    "no key with a loose run": "KEYWAY: NONE\n25473",
    "no code": "BITTING: NONE",
    "empty label": "KEYWAY: SC1\nBITTING:",
    "label without a code, loose run below": "BITTING: unknown\n25473",
    "label without a code, sentence below": "BITTING: [pattern]\nThe code is 2,5,4,7,3.",
    "empty label, sentence below": "BITTING:\nThe code is 2,5,4,7,3.",
    "number labels only": FIGURES,
    "five-digit numbers": "CONFIDENCE: 25473\nPRODUCTION: 30000\nCOMPLEXITY: 5 5 5 5 5",
    "number label that mentions a code": "PRODUCTION: the code is 30000.",
    "number labels without colons": "Confidence 25473\nProduction 30000\n",
    "numbers on the next line": "PRODUCTION:\n30000\n**COMPLEXITY**\n55555",
    "number below a bullet": "- PRODUCTION\n  30000",
    "number below its unit": "Production per year\n30000",
    "numbers in a table": "| PRODUCTION | COMPLEXITY |\n|---|---|\n| 30000 | 55 |",
    "number inside a line": "Annual production: 30000",
    "empty bitting before number labels": "KEYWAY: SC1\nBITTING:\n" + FIGURES,
    "long number": "30000000",
    "long number as code": "The code is 30000000.",
    "decimal": "0.25473",
    "decimal as code": "The code is 0.25473.",
    "date": "2026-11-05",
    "date, spelt out": "05-11-20-26-10",
    "year": "Made in 2024.",
    "time": "10:30:15:22:07",
    "telephone": "555-123-4567",
    "telephone in pairs": "06 12 34 56 78",
    "telephone with sign": "+1 2 5 4 7 3",
    "telephone in prose": "Call 25473 for help.",
    "zip code": "Your zip code is 90210.",
    "value of another heading": "Zip code:\n90210",
    "list of positions": "Cuts 1, 2, 3, 4, 5 are shallow.",
    "two loose runs": "25473\n25474",
    "two loose runs, one in prose": "The code is 2,5,4,7,3. It may be 2,5,4,7,4 too.",
    "two loose runs, one longer": "25473\n254731",
    "either or": "The code is 2,5,4,7,3 or 2,5,4,7,4.",
    "a separate cut": "The code is 2,5,4,7,3, and 1.",
    "negated": "The code is not 2,5,4,7,3.",
    "inside a word": "A25473B",
    "a line that exceeds the limit": "25473" + "1" * 5000,
    "limit inside the code": "x" * 3981 + "\nBITTING: 2,5,4,7,3,1,1",
    "limit after the label": "x" * 3989 + "\nBITTING: 2,5,4,7,3",
    "beyond the limit": "and so on\n" * 500 + "BITTING: 2,5,4,7,3",
}
STYLES = {
    "labelled, commas": "KEYWAY: {name}\nBITTING: {commas}",
    "labelled, together": "KEYWAY: {name}\r\nBITTING: {together}\r\n",
    "bold": "**Keyway:** {brand} {name}\n**Bitting:** {spaced}",
    "long": "KEYWAY: {name}\nBITTING: {commas}\n" + FIGURES,
    "json": '{{"keyway": "{name}", "bitting": "{commas}"}}',
    "loose": "KEYWAY: {name}\nThe code is {dashes}.",
    "prose": "The keyway looks like {name}.\n\nThe code is {commas}.",
}


def read(text: str, known: tuple[str, ...] = TRAINED) -> Reply:
    reply = parse_reply(text, known)
    assert reply is not None
    return reply


@pytest.mark.parametrize("text", LABELLED.values(), ids=LABELLED)
def test_code_with_a_label_is_found(text: str) -> None:
    assert (read(text).digits, read(text).trust) == (CODE, Trust.LABELLED)


@pytest.mark.parametrize("text", LOOSE.values(), ids=LOOSE)
def test_code_without_a_label_is_found_with_lower_trust(text: str) -> None:
    assert (read(text).digits, read(text).trust) == (CODE, Trust.LOOSE)


@pytest.mark.parametrize("known", [TRAINED, ALL], ids=["taught", "all"])
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_reply_without_exactly_one_code_is_refused(text: str, known: tuple[str, ...]) -> None:
    assert parse_reply(text, known) is None


@pytest.mark.parametrize(
    ("text", "known", "fewer"),
    [
        ("BITTING: 2,5,4,7", ("M1",), TRAINED),
        ("BITTING: 2,5,4,7,3,1,1", ("A2", "SC1"), TRAINED),
        ("BITTING: 2547311", ("A2",), ALL[:2]),
        ("BITTING: 2,5,4,7,3,1", ("Y1",), ("SC1", "KW1")),
        ("KEYWAY: SC4\nBITTING: 2,5,4,7,3,1", ("SC4", "SC1"), ("SC1",)),
        ("254731", ("SC1", "SC4"), ("SC1",)),
    ],
    ids=["four cuts", "seven cuts", "seven together", "the more of two counts", "named", "loose"],
)
def test_number_of_cuts_in_a_reply_depends_on_the_known_keyways(
    text: str, known: tuple[str, ...], fewer: tuple[str, ...]
) -> None:
    assert len(read(text, known).digits) in {
        count for name in known for count in keyway(name).cut_counts
    }
    assert parse_reply(text, fewer) is None


def test_depth_in_a_reply_with_a_label_may_have_two_digits() -> None:
    assert read("BITTING: 10,5,04,99,0").digits == (10, 5, 4, 99, 0)


@pytest.mark.parametrize(
    ("text", "name", "written"),
    [
        ("KEYWAY: SC1\nBITTING: 25473", "SC1", "SC1"),
        ("keyway = sc1\nBITTING: 25473", "SC1", "sc1"),
        ("**KEYWAY:** Schlage SC1\nBITTING: 25473", "SC1", "Schlage SC1"),
        ("KEYWAY: Ilco KW1\nBITTING: 25473", "KW1", "Ilco KW1"),
        ("KEYWAY: SC1 (5 pins)\nBITTING: 25473", "SC1", "SC1"),
        ("BITTING: 25473\nThe keyway seems to be KW1, as KW1 is common.", "KW1", "KW1"),
        ("KEYWAY: KW1\nBITTING: 25473\nSC1 would look different.", "KW1", "KW1"),
        ("BITTING: 25473\nKEYWAY: Medeco M3!", None, "Medeco M3"),
        ("KEYWAY: WR5\nBITTING: 25473", None, "WR5"),
        ("This is a WR5. The code is 25473.", None, "WR5"),
        ("BITTING: 25473", None, None),
        ("KEYWAY:\nBITTING: 25473", None, None),
        ("BRAND: Schlage\nBITTING: 25473", None, None),
    ],
)
def test_position_of_the_keyway_in_a_reply_is_found(
    text: str, name: str | None, written: str | None
) -> None:
    reply = read(text)
    assert reply.keyway == name
    assert (reply.keyway_span and text[slice(*reply.keyway_span)]) == written


def test_position_of_each_number_in_a_reply_is_found() -> None:
    text = "KEYWAY: SC1\r\nBITTING: 2, 5, 10, 7, 3\r\n"
    assert [text[start:end] for start, end in read(text).spans] == ["2", "5", "10", "7", "3"]
    assert read("BITTING: 25473").spans == ((9, 10), (10, 11), (11, 12), (12, 13), (13, 14))
    assert read("Read it as:\r\n\r\nThe code is:\r\n 2 5 4 7 3").spans[0] == (30, 31)


def test_repr_of_a_reply_hides_the_code() -> None:
    assert "25473" not in repr(read("25473")).replace(", ", "").replace(",", "")


@pytest.mark.parametrize(
    "text",
    [
        "KEYWAY: NONE",
        "KEYWAY: none.\nBITTING: NONE",
        "BITTING: NONE",
        "**KEYWAY:** No key",
        "keyway: NO_KEY\nBITTING: -",
        "BITTING: not a key",
        '{"keyway": "none", "bitting": null}',
        "KEYWAY: NONE\nBITTING: x,x,x,x,x",
        "KEYWAY:\nNone",
        "BITTING: NONE\nAn SC1?",
    ],
)
def test_reply_says_none_if_a_line_with_a_label_does(text: str) -> None:
    assert says_none(text)
    assert parse_reply(text, TRAINED) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        LONG,
        "25473",
        "NONE",
        "There is no key.",
        "BRAND: NONE\nBITTING: 25473",
        "KEYWAY: unknown",
        "KEYWAY: no keyway",
        "KEYWAY: nonesuch",
        "KEYWAY: SC1\nBITTING: NONE",
        "KEYWAY: NONE\nBITTING: 25473",
        "x" * 5000 + "\nKEYWAY: NONE",
    ],
)
def test_other_replies_do_not_say_none(text: str) -> None:
    assert not says_none(text)


def assert_consistent(text: str, known: tuple[str, ...]) -> None:
    """Check that the parsed reply matches the text and has a possible number of cuts."""
    reply = parse_reply(text, known)
    if reply is None:
        return
    assert not says_none(text)
    numbers = [text[start:end] for start, end in reply.spans]
    assert all(number.isascii() and number.isdigit() and len(number) <= 2 for number in numbers)
    assert reply.digits == tuple(map(int, numbers))
    assert sorted(reply.spans) == list(reply.spans)
    possible = [reply.keyway] if reply.keyway else known
    assert any(len(reply.digits) in keyway(name).cut_counts for name in possible)
    assert reply.keyway is None or (reply.keyway in known and reply.keyway_span is not None)


@given(st.text(st.characters(codec=None)), st.sampled_from([TRAINED, ALL, ("M1",), ()]))
def test_parsing_any_text_gives_a_consistent_result(text: str, known: tuple[str, ...]) -> None:
    assert_consistent(text, known)


PIECES = [
    "KEYWAY",
    "BITTING",
    "Code",
    "The code is",
    "PRODUCTION",
    "NONE",
    "SC1",
    "KW1",
    "WR5",
    ":",
    "=",
    "**",
    "_",
    "[",
    "]",
    '"',
    "(",
    ")",
    "2,5,4,7,3",
    "25473",
    "1 1 1 1 1 1",
    "0",
    "7",
    "10",
    ",",
    ", ",
    "-",
    " ",
    ".",
    "\n",
    "\r\n",
    "\u2028",
    "\u0663",
    "bow to tip",
    "|",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.sampled_from([TRAINED, ALL, ("SC1",)]),
)
def test_parsing_text_like_a_reply_gives_a_consistent_result(
    text: str, known: tuple[str, ...]
) -> None:
    assert_consistent(text, known)


@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=12),
    st.sampled_from([",", ", ", " ", "-", ";"]),
)
def test_numbers_after_a_label_are_used_completely_or_refused(
    numbers: list[int], mark: str
) -> None:
    reply = parse_reply(f"BITTING: {mark.join(map(str, numbers))}", TRAINED)
    if len(numbers) in (5, 6):
        assert reply is not None and reply.digits == tuple(numbers)
    else:
        assert reply is None or (
            len(numbers) == 1 and reply.digits == tuple(map(int, str(numbers[0])))
        )


@given(bittings(), st.sampled_from(list(STYLES)))
def test_code_is_found_in_every_style_of_reply(bitting: Bitting, style: str) -> None:
    codes = [str(code) for code in bitting.codes]
    text = STYLES[style].format(
        name=bitting.keyway.name,
        brand=bitting.keyway.brand,
        commas=bitting.format(),
        together="".join(codes),
        spaced="  ".join(codes),
        dashes=" - ".join(codes),
    )
    reply = read(text, ALL)
    assert (reply.keyway, reply.digits) == (bitting.keyway.name, bitting.codes)


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1,",
        "1 ",
        " ",
        "\t\xa0",
        "\n",
        "\r\n",
        ":",
        ":\n",
        ": ",
        "BITTING",
        "BITTING:",
        "BITTING: 2,5,4,7,3\n",
        "BITTING ",
        "*",
        "_",
        "[",
        "(",
        "the code is ",
        "the code is 2,5,4,7,3. ",
        "code:",
        "KEYWAY: SC1\n",
        "keyway ",
        '"',
        "|",
        "# ",
        "- ",
        ",",
        "\n,",
        "SC1 ",
        "bow to tip",
        "\u0663",
    ],
)
@pytest.mark.parametrize("end", ["", "!", "x", "\nBITTING: 2,5,4,7,3"])
def test_parsing_very_long_text_gives_a_consistent_result(piece: str, end: str) -> None:
    text = piece * (100_000 // len(piece)) + end
    assert_consistent(text, TRAINED)
    assert_consistent(piece * (3_900 // len(piece)) + end, TRAINED)
    assert not says_none(text)
