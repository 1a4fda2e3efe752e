"""Parse the reply of a language model: the keyway, the numbers, and their positions in the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from keylike.keys.keyways import UnknownKeyway, keyway, keyways
from keylike.readers.gemma.model_output import Trust

Span = tuple[int, int]
# Largest number of characters of a reply that are parsed.
_LIMIT = 4000
_COUNTS = frozenset(count for record in keyways().values() for count in record.cut_counts)

_BLANK = r"[ \t\xa0]"
_SEPARATORS = (
    *(rf"{_BLANK}{{0,4}}{mark}{_BLANK}{{0,4}}" for mark in (",", ";", r"[-\u2013]")),
    rf"{_BLANK}{{1,4}}",
)
_FIGURES = "confidence|production|complexity"
_LABELS = f"keyway|bitting|brand|{_FIGURES}"
_START, _END = r"(?<![^\W_])", r"(?![^\W_])"  # of a word; underscores do not belong to it
_OPEN, _CLOSE = r"[\s*_`\"'\[(|]*", r"[*_`\"')\].!]{0,8}"
_BOW_TO_TIP = rf"(?:{_BLANK}?\(?(?:from )?bow to tip)?"


def _run(number: str) -> str:
    """Return a pattern for numbers with the same separator between them, or for adjacent digits."""
    return (
        "(?P<run>"
        + "|".join(rf"{number}(?:{mark}{number})+" for mark in _SEPARATORS)
        + "|[0-9]{2,})"
    )


# Pattern of a label. It is at the start of its line, or inside a line and followed by a colon.
_LABEL = re.compile(
    r"(?:(?P<opens>^[\s*_`\"'#>|{\[(+-]{0,8})"
    rf"|[*_`\"')\]}}.|;]{{0,4}},?[\s*_`\"'{{|]{{0,4}}{_START})"
    rf"(?P<label>{_LABELS}){_END}"
    r"(?: code| pattern)?(?: ?\(bow to tip\))?[*_`\"' ]{0,4}"
    rf"(?(opens)(?:[:=]|(?:is|are)\b)?|[:=]){_OPEN}",
    re.IGNORECASE,
)
# Patterns of values that continue on the next line: after a heading, or at a comma in a list.
_HEADING = rf"(?:[:=]|^[#*_> -]{{0,6}}(?:(?:{_FIGURES})[^0-9\r\n]{{0,40}}|{_LABELS}))[*_`]{{0,4}}"
_RUNS_ON = re.compile(
    rf"{_HEADING}\s+(?![\W_]{{0,8}}(?:{_LABELS}))|(?<=\S)\s+(?=[,;])", re.IGNORECASE | re.MULTILINE
)
_VALUE = re.compile(
    rf"{_run('[0-9]{1,2}')}{_BOW_TO_TIP}{_CLOSE}(?:(?<=[\"'\]]),)?[\s}}|]*", re.IGNORECASE
)
# Patterns of codes without a label. They exclude two-digit numbers, which are more often parts of
# dates, times and phone numbers than depths.
_OWN_LINE = rf"^\s{{0,8}}(?:[-*>#+]\s)?{_OPEN}"
_CODE = rf"(?:(?:^[\s*_#>-]{{0,8}}|\b(?:the|its|key|key's)\s)code|{_START}(?:answer|bitting|cuts))"
_CALLED_CODE = rf"{_CODE}(?:\s(?:is|are|reads)\b\s?[:=]?|[\s*_]{{0,3}}[:=]){_OPEN}"
_LOOSE = re.compile(
    rf"(?:{_OWN_LINE}|{_CALLED_CODE}){_run('[0-9]')}{_BOW_TO_TIP}{_CLOSE}(?=\s*$|(?<=[.!])\s)",
    re.IGNORECASE,
)
_OTHER_RUN = re.compile(rf"(?<![\w.]){_run('[0-9]')}(?!\w)")
_NAME = re.compile(rf"{_START}(?:{'|'.join(map(re.escape, keyways()))}){_END}", re.IGNORECASE)
_WORDS = re.compile(r"[^\W_](?:.*[^\W_])?")
_NONE = re.compile(rf"[\W_]*(?:none|no[ _-]?key|not[ _-]a[ _-]key){_END}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """The code as the model wrote it.

    The repr does not contain the numbers, because a code opens a door.

    Attributes:
        keyway: Name of a keyway that the reader knows. If it is None, `keyway_span` tells the
            reason: the text names another keyway, or (if that is None too) no keyway.
        digits: The numbers that the model wrote, 0 to 99.
        spans: Start and end of each number in the text.
        keyway_span: Start and end of the keyway's name, or None.
        trust: How the code was found.
    """

    keyway: str | None
    digits: tuple[int, ...] = field(repr=False)
    spans: tuple[Span, ...]
    keyway_span: Span | None
    trust: Trust


def parse_reply(text: str, known: Sequence[str]) -> Reply | None:
    """Return the code in generated text, or None if there is none or more than one.

    Only whole lines within the first 4,000 characters are parsed. The keyway allows the number of
    cuts of the returned code. The caller must check the depths.

    Args:
        text: Generated text without the prompt.
        known: Names of the keyways that the model was trained on.
    """
    text = _truncate(text)
    values, prose = _split_labels(text)
    named = _find_keyways(text, values["keyway"])
    if len({name for name, _ in named}) > 1 or any(
        _NONE.match(text, *span) for span in values["keyway"]
    ):
        return None
    name, keyway_span = named[0] if named else (None, None)
    found = name if name in known else None
    trust = Trust.LABELLED if values["bitting"] else Trust.LOOSE
    runs = [_parse_value(text, span) for span in values["bitting"]] or _find_loose_runs(text, prose)
    codes = {tuple(int(text[start:end]) for start, end in run) for run in runs}
    allowed = {count for name in ([found] if found else known) for count in keyway(name).cut_counts}
    if len(codes) != 1 or len(runs[0]) not in allowed:
        return None
    return Reply(found, codes.pop(), runs[0], keyway_span, trust)


def says_none(text: str) -> bool:
    """Return True if a line with a label says that there is no key, such as "KEYWAY: NONE".

    If such a line contains a keyway or a number, the result is False.
    """
    text = _truncate(text)
    values, _ = _split_labels(text)
    names_keyway = any(_NAME.search(text, *span) for span in values["keyway"])
    has_number = any(re.search("[0-9]", text[start:end]) for start, end in values["bitting"])
    return (
        not names_keyway
        and not has_number
        and any(_NONE.match(text, *span) for span in (*values["keyway"], *values["bitting"]))
    )


def _truncate(text: str) -> str:
    """Return the start of the text, with all characters at the same positions.

    The line at the limit is dropped, because a part of a line could be another code. Line breaks
    inside a value become blanks.
    """
    if len(text) > _LIMIT:
        text = "".join(text[:_LIMIT].splitlines(keepends=True)[:-1])
    return _RUNS_ON.sub(lambda found: re.sub(r"\s", " ", found[0]), text)


def _split_labels(text: str) -> tuple[dict[str, list[Span]], list[Span]]:
    """Return the spans of each label's values, and the lines without a label."""
    values: dict[str, list[Span]] = {label: [] for label in _LABELS.split("|")}
    prose, start = [], 0
    for line in text.splitlines(keepends=True):
        labels = list(_LABEL.finditer(line))
        ends = [*(label.start() for label in labels[1:]), len(line)]
        for label, end in zip(labels, ends, strict=False):
            values[label["label"].lower()].append((start + label.end(), start + end))
        if not labels:
            prose.append((start, start + len(line)))
        start += len(line)
    return values, prose


def _find_keyways(text: str, values: list[Span]) -> list[tuple[str | None, Span]]:
    """Return the keyways in the values after the label, or in the whole text if there is no label.

    None means an unknown keyway.
    """
    if not values:
        return [(keyway(found[0]).name, found.span()) for found in _NAME.finditer(text)]
    return [
        name
        for span in values
        if (words := _WORDS.search(text, *span))
        for name in _keyways_in(text, words.span())
    ]


def _keyways_in(text: str, span: Span) -> list[tuple[str | None, Span]]:
    try:
        return [(keyway(text[slice(*span)]).name, span)]
    except UnknownKeyway:
        return [(keyway(found[0]).name, found.span()) for found in _NAME.finditer(text, *span)] or [
            (None, span)
        ]


def _parse_value(text: str, span: Span) -> tuple[Span, ...]:
    """Return the spans of the numbers in a value, or () if it contains anything else."""
    found = _VALUE.fullmatch(text, *span)
    return _numbers(found, 0) if found else ()


def _find_loose_runs(text: str, prose: list[Span]) -> list[tuple[Span, ...]]:
    """Return the sequences of numbers that make up a whole line, or that the text calls the code.

    If there are any, all other sequences that could be a code are returned too, so that the caller
    can notice a contradiction.
    """
    lines = [(start, text[start:end]) for start, end in prose]
    runs = [_numbers(found, start) for start, line in lines for found in _LOOSE.finditer(line)]
    rivals = [
        _numbers(found, start) for start, line in lines for found in _OTHER_RUN.finditer(line)
    ]
    codes_found = [run for run in runs if len(run) in _COUNTS]
    return [*codes_found, *(run for run in rivals if len(run) in _COUNTS)] if codes_found else []


def _numbers(found: re.Match[str], offset: int) -> tuple[Span, ...]:
    adjacent = found["run"].isdecimal()
    numbers = re.compile("[0-9]" if adjacent else "[0-9]+").finditer(
        found.string, *found.span("run")
    )
    return tuple((offset + number.start(), offset + number.end()) for number in numbers)
