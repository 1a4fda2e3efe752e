"""Owns what a language model's reply says: which keyway, which numbers, and where in the text they stand; or that it names no code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from keylike.keys.keyways import UnknownKeyway, keyway, keyways
from keylike.readers.gemma.model_output import Trust

Span = tuple[int, int]
_LIMIT = 4000
_COUNTS = frozenset(count for record in keyways().values() for count in record.cut_counts)

_BLANK = r"[ \t\xa0]"
_SEPARATORS = (
    *(rf"{_BLANK}{{0,4}}{mark}{_BLANK}{{0,4}}" for mark in (",", ";", r"[-\u2013]")),
    rf"{_BLANK}{{1,4}}",
)
_FIGURES = "confidence|production|complexity"
_LABELS = f"keyway|bitting|brand|{_FIGURES}"
_START, _END = r"(?<![^\W_])", r"(?![^\W_])"  # of a word, underscores being decoration
_OPEN, _CLOSE = r"[\s*_`\"'\[(|]*", r"[*_`\"')\].!]{0,8}"
_TIP = rf"(?:{_BLANK}?\(?(?:from )?bow to tip)?"


def _run(number: str) -> str:
    """Numbers with one kind of separator throughout, or single digits written together."""
    return (
        "(?P<run>"
        + "|".join(rf"{number}(?:{mark}{number})+" for mark in _SEPARATORS)
        + "|[0-9]{2,})"
    )


# A label opens its line, or stands inside it with a colon after it.
_LABEL = re.compile(
    rf"(?:(?P<opens>^[\s*_`\"'#>|{{\[(+-]{{0,8}})|[*_`\"')\]}}.|;]{{0,4}},?[\s*_`\"'{{|]{{0,4}}{_START})(?P<label>{_LABELS}){_END}"
    rf"(?: code| pattern)?(?: ?\(bow to tip\))?[*_`\"' ]{{0,4}}(?(opens)(?:[:=]|(?:is|are)\b)?|[:=]){_OPEN}",
    re.IGNORECASE,
)
# What runs on over a line's end: a heading with its value below, a list that goes on with a comma.
_HEADING = rf"(?:[:=]|^[#*_> -]{{0,6}}(?:(?:{_FIGURES})[^0-9\r\n]{{0,40}}|{_LABELS}))[*_`]{{0,4}}"
_RUNS_ON = re.compile(
    rf"{_HEADING}\s+(?![\W_]{{0,8}}(?:{_LABELS}))|(?<=\S)\s+(?=[,;])", re.IGNORECASE | re.MULTILINE
)
_VALUE = re.compile(rf"{_run('[0-9]{1,2}')}{_TIP}{_CLOSE}(?:(?<=[\"'\]]),)?[\s}}|]*", re.IGNORECASE)
# Two-digit numbers are left out of loose runs: they are dates, times and telephone numbers more often than depths.
_ALONE = rf"^\s{{0,8}}(?:[-*>#+]\s)?{_OPEN}"
_CODE = rf"(?:(?:^[\s*_#>-]{{0,8}}|\b(?:the|its|key|key's)\s)code|{_START}(?:answer|bitting|cuts))"
_SAID = rf"{_CODE}(?:\s(?:is|are|reads)\b\s?[:=]?|[\s*_]{{0,3}}[:=]){_OPEN}"
_LOOSE = re.compile(
    rf"(?:{_ALONE}|{_SAID}){_run('[0-9]')}{_TIP}{_CLOSE}(?=\s*$|(?<=[.!])\s)", re.IGNORECASE
)
_RIVAL = re.compile(rf"(?<![\w.]){_run('[0-9]')}(?!\w)")
_NAME = re.compile(rf"{_START}(?:{'|'.join(map(re.escape, keyways()))}){_END}", re.IGNORECASE)
_WORDS = re.compile(r"[^\W_](?:.*[^\W_])?")
_NONE = re.compile(rf"[\W_]*(?:none|no[ _-]?key|not[ _-]a[ _-]key){_END}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """A code as the model wrote it. `digits`: its own numbers, 0 to 99; `spans`: where each stands in the text, start and end.

    `keyway` is a record's name, one of those known to the reader. None with a `keyway_span` means that the text names another one;
    None without a span, that it names none. The numbers are held back from the repr, as a code opens a door.
    """

    keyway: str | None
    digits: tuple[int, ...] = field(repr=False)
    spans: tuple[Span, ...]
    keyway_span: Span | None
    trust: Trust


def parse_reply(text: str, known: Sequence[str]) -> Reply | None:
    """The code in text that a model generated (never its prompt); None when it names no code, or more than one.

    `known`: record names of the keyways that the model was taught. Reads whole lines within the first 4,000 characters.
    The count of numbers is one that the keyway can have; whether its maker could cut them is for the caller to check.
    """
    text = _bounded(text)
    values, prose = _parted(text)
    named = _named(text, values["keyway"])
    if len({name for name, _ in named}) > 1 or any(
        _NONE.match(text, *span) for span in values["keyway"]
    ):
        return None
    name, keyway_span = named[0] if named else (None, None)
    found = name if name in known else None
    trust = Trust.LABELLED if values["bitting"] else Trust.LOOSE
    runs = [_labelled(text, span) for span in values["bitting"]] or _loose(text, prose)
    codes = {tuple(int(text[start:end]) for start, end in run) for run in runs}
    allowed = {count for each in ([found] if found else known) for count in keyway(each).cut_counts}
    if len(codes) != 1 or len(runs[0]) not in allowed:
        return None
    return Reply(found, codes.pop(), runs[0], keyway_span, trust)


def says_none(text: str) -> bool:
    """Whether a labelled line says that there is no key ("KEYWAY: NONE"), and none of them a keyway or a number."""
    text = _bounded(text)
    values, _ = _parted(text)
    keyed = any(_NAME.search(text, *span) for span in values["keyway"])
    numbered = any(re.search("[0-9]", text[start:end]) for start, end in values["bitting"])
    return (
        not keyed
        and not numbered
        and any(_NONE.match(text, *span) for span in (*values["keyway"], *values["bitting"]))
    )


def _bounded(text: str) -> str:
    """The text's beginning, each character in its place: no line that the limit cuts, since half a line would be another code."""
    if len(text) > _LIMIT:
        text = "".join(text[:_LIMIT].splitlines(keepends=True)[:-1])
    return _RUNS_ON.sub(lambda found: re.sub(r"\s", " ", found[0]), text)


def _parted(text: str) -> tuple[dict[str, list[Span]], list[Span]]:
    """Where each label's values stand, and the lines without a label."""
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


def _named(text: str, values: list[Span]) -> list[tuple[str | None, Span]]:
    """The keyways that the labelled values name (None for one without a record), else those that the whole text names."""
    if not values:
        return [(keyway(found[0]).name, found.span()) for found in _NAME.finditer(text)]
    return [
        each
        for span in values
        if (words := _WORDS.search(text, *span))
        for each in _names(text, words.span())
    ]


def _names(text: str, span: Span) -> list[tuple[str | None, Span]]:
    try:
        return [(keyway(text[slice(*span)]).name, span)]
    except UnknownKeyway:
        return [(keyway(found[0]).name, found.span()) for found in _NAME.finditer(text, *span)] or [
            (None, span)
        ]


def _labelled(text: str, span: Span) -> tuple[Span, ...]:
    """The numbers that a value consists of; none at all when it holds anything else."""
    found = _VALUE.fullmatch(text, *span)
    return _numbers(found, 0) if found else ()


def _loose(text: str, prose: list[Span]) -> list[tuple[Span, ...]]:
    """Runs that are a line of their own or are called the code; with them every other that could be one, to be compared."""
    lines = [(start, text[start:end]) for start, end in prose]
    runs = [_numbers(found, start) for start, line in lines for found in _LOOSE.finditer(line)]
    rivals = [_numbers(found, start) for start, line in lines for found in _RIVAL.finditer(line)]
    meant = [run for run in runs if len(run) in _COUNTS]
    return [*meant, *(run for run in rivals if len(run) in _COUNTS)] if meant else []


def _numbers(found: re.Match[str], offset: int) -> tuple[Span, ...]:
    together = found["run"].isdecimal()
    numbers = re.compile("[0-9]" if together else "[0-9]+").finditer(
        found.string, *found.span("run")
    )
    return tuple((offset + number.start(), offset + number.end()) for number in numbers)
