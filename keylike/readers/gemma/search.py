"""Reads the slots: a small beam over keyways and cuts, one forward step a cut, exact probabilities, impossible codes left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from keylike.keys.keyways import Keyway
from keylike.readers.gemma.kv_session import Stream
from keylike.readers.gemma.model_output import Choice, Scores, Slot, Trust
from keylike.readers.gemma.slots import Layout, Option, Tokens

# Of the likeliest path's probability: what lies below is not followed any further, and no alternative worth giving.
_HOPELESS = 1e-5


@dataclass(frozen=True, slots=True)
class _Path:
    """A code half told: `photo` it belongs to, `row` of the stream it continues, and the token said last."""

    photo: int
    row: int
    option: Option
    choice: Choice
    mass: float
    last: int = -1
    stopped: bool = False

    @property
    def done(self) -> bool:
        return self.stopped or len(self.choice.codes) == self.option.counts[-1]


def read_slots(model: Any, inputs: Any, layout: Layout, beams: int) -> list[Scores]:
    """What the model chooses for each row of `inputs`: one pass for the prompt, one for the keyways, one for each further cut."""
    stream = Stream(model, inputs, layout.common)
    heads = _hear_heads(stream, layout)
    paths = [
        _best([path for option in layout.options for path in _begin(head, option)], beams)
        for head in heads
    ]
    while open_ones := [path for beam in paths for path in beam if not path.done]:
        logits = stream.feed([path.row for path in open_ones], [_piece(path) for path in open_ones])
        grown: list[list[_Path]] = [[path for path in beam if path.done] for beam in paths]
        for row, (path, after) in enumerate(zip(open_ones, logits, strict=True)):
            grown[path.photo] += _go_on(replace(path, row=row), after)
        paths = [_best(beam, beams) for beam in grown]
    return [_heard(beam, head) for beam, head in zip(paths, heads, strict=True)]


@dataclass(frozen=True, slots=True)
class _Heads:
    """For one photo: the probability of each option, the model's own mass on them, and where to go on from each."""

    photo: int
    options: tuple[Option, ...]
    chances: tuple[float, ...]
    mass: float
    rows: tuple[int, ...]
    next_logits: tuple[torch.Tensor, ...]


def _hear_heads(stream: Stream, layout: Layout) -> list[_Heads]:
    """Weighs every option of every photo in one pass; without a choice of keyways the prompt's own pass tells all."""
    photos, options = range(len(stream.first)), layout.options
    heads = [option.head for option in options]
    if not any(heads):
        return [
            _Heads(photo, options, (1.0,), 1.0, (photo,), (stream.first[photo],))
            for photo in photos
        ]
    fed = stream.feed(
        [photo for photo in photos for _ in heads], [head for _ in photos for head in heads]
    )
    found = []
    for photo in photos:
        rows = tuple(range(photo * len(heads), (photo + 1) * len(heads)))
        steps = [torch.cat([stream.first[photo][None], fed[row]]) for row in rows]
        chances, mass = _weigh(heads, steps)
        found.append(_Heads(photo, options, chances, mass, rows, tuple(step[-1] for step in steps)))
    return found


def _weigh(
    heads: Sequence[Tokens], steps: Sequence[torch.Tensor]
) -> tuple[tuple[float, ...], float]:
    """The probability of each head where at every fork only the heads' own tokens may come (they sum to 1), and the share of the
    unconstrained probability that the likeliest head's forks had on them, at the least."""
    chances, masses = [1.0] * len(heads), [1.0] * len(heads)
    for index, head in enumerate(heads):
        for place, token in enumerate(head):
            fork = sorted({other[place] for other in heads if other[:place] == head[:place]})
            if len(fork) > 1:
                slot, mass = _choose(steps[index][place], fork, token)
                chances[index] *= slot.probability
                masses[index] = min(masses[index], mass)
    return tuple(chances), masses[max(range(len(heads)), key=chances.__getitem__)]


def _choose(logits: torch.Tensor, tokens: Sequence[int], taken: int) -> tuple[Slot, float]:
    """The slot over `tokens`, and their share of the whole vocabulary's probability: none where half precision has overflowed."""
    log_all = logits.log_softmax(-1)[list(tokens)]
    if not bool(log_all.isfinite().any()) or bool(log_all.isnan().any()):
        return Slot((1 / len(tokens),) * len(tokens), list(tokens).index(taken)), 0.0
    return Slot(tuple(log_all.softmax(-1).tolist()), list(tokens).index(taken)), float(
        log_all.exp().sum()
    )


def _begin(heads: _Heads, option: Option) -> list[_Path]:
    """The first cut of one option."""
    if option.keyway is None:
        return []
    index = heads.options.index(option)
    others = (Slot(heads.chances, index),) if len(heads.options) > 1 else ()
    path = _Path(
        heads.photo,
        heads.rows[index],
        option,
        Choice(option.keyway.name, (), (), others),
        heads.mass,
    )
    return _cut(path, heads.next_logits[index])


def _cut(path: _Path, logits: torch.Tensor) -> list[_Path]:
    """The path with each depth that may come next."""
    codes, digits = path.choice.codes, path.option.digits[len(path.choice.codes)]
    slot, mass = _choose(logits, list(digits), next(iter(digits)))
    grown = []
    for taken, (token, depth) in enumerate(digits.items()):
        if not codes or _may_follow(path.option.keyway, codes[-1], depth):
            choice = replace(
                path.choice,
                codes=(*codes, depth),
                digits=(*path.choice.digits, replace(slot, taken=taken)),
            )
            grown.append(replace(path, choice=choice, mass=min(path.mass, mass), last=token))
    return grown


def _may_follow(way: Keyway | None, before: int, depth: int) -> bool:
    """Whether two neighbouring cuts keep the keyway's MACS."""
    if way is None or way.macs is None:
        return True
    levels = list(way.depths_mm)
    return abs(levels.index(before) - levels.index(depth)) <= way.macs


def _piece(path: _Path) -> Tokens:
    """What is fed next: the digit taken and what stands between it and the next."""
    return (path.last, *path.option.gaps[len(path.choice.codes) - 1])


def _go_on(path: _Path, after: torch.Tensor) -> list[_Path]:
    """The next cut, and where the keyway may have fewer cuts also the end; `after` are the logits after each token of the piece."""
    if len(path.choice.codes) not in path.option.counts:
        return _cut(path, after[-1])
    onward = path.option.gaps[len(path.choice.codes) - 1][0]
    slot, _ = _choose(after[0], [path.option.stop, onward], onward)
    others = path.choice.others
    ended = replace(
        path, choice=replace(path.choice, others=(*others, replace(slot, taken=0))), stopped=True
    )
    return [
        ended,
        *_cut(replace(path, choice=replace(path.choice, others=(*others, slot))), after[-1]),
    ]


def _best(paths: Sequence[_Path], beams: int) -> list[_Path]:
    ranked = sorted(((path.choice.probability, path) for path in paths), key=lambda each: -each[0])[
        :beams
    ]
    return [path for chance, path in ranked if chance >= _HOPELESS * ranked[0][0]]


def _heard(beam: Sequence[_Path], heads: _Heads) -> Scores:
    no_key = sum(
        chance
        for option, chance in zip(heads.options, heads.chances, strict=True)
        if option.keyway is None
    )
    mass = beam[0].mass if beam else heads.mass
    return Scores(tuple(path.choice for path in beam), no_key, mass, Trust.SLOTS)
