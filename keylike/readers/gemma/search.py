"""Beam search over keyways and cuts, with exact probabilities and one forward pass per cut.

Codes that the keyway does not allow are excluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from keylike.keys.keyways import Keyway
from keylike.readers.gemma.kv_session import KVSession
from keylike.readers.gemma.model_output import Choice, Scores, Slot, Trust
from keylike.readers.gemma.slots import Layout, Option, Tokens

# A path is dropped if its probability is below this share of that of the most probable path.
_PRUNE_RATIO = 1e-5


@dataclass(frozen=True, slots=True)
class _Path:
    """A code of which only the first cuts have been chosen.

    Attributes:
        photo: Index of the photo.
        row: Row of the session with the tokens of the code so far.
        option: Keyway of the code.
        choice: Slots chosen so far.
        mass: Probability that the model gives to all allowed tokens together, at the position where
            it is smallest so far.
        last: Last chosen token.
        stopped: True if the code has ended with fewer cuts than the keyway's largest number.
    """

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
    """Return the scores for each row of `inputs`.

    The model runs once for the prompt, once for the keyways, and once for each further cut.
    """
    session = KVSession(model, inputs, layout.common)
    heads = _score_heads(session, layout)
    paths = [
        _best([path for option in layout.options for path in _first_cuts(head, option)], beams)
        for head in heads
    ]
    while active := [path for beam in paths for path in beam if not path.done]:
        logits = session.feed([path.row for path in active], [_piece(path) for path in active])
        extended: list[list[_Path]] = [[path for path in beam if path.done] for beam in paths]
        for row, (path, after) in enumerate(zip(active, logits, strict=True)):
            extended[path.photo] += _extend(replace(path, row=row), after)
        paths = [_best(beam, beams) for beam in extended]
    return [_scores(beam, head) for beam, head in zip(paths, heads, strict=True)]


@dataclass(frozen=True, slots=True)
class _Heads:
    """The scores of all options for one photo.

    Attributes:
        photo: Index of the photo.
        options: Options of the layout.
        probabilities: Probability of each option.
        mass: Probability that the model gives to all options together, at the position where it is
            smallest.
        rows: For each option, the row of the session with its tokens.
        next_logits: For each option, the logits of the token that follows it.
    """

    photo: int
    options: tuple[Option, ...]
    probabilities: tuple[float, ...]
    mass: float
    rows: tuple[int, ...]
    next_logits: tuple[torch.Tensor, ...]


def _score_heads(session: KVSession, layout: Layout) -> list[_Heads]:
    """Score every option of every photo in one pass.

    With a single option no extra pass is needed: the forward pass over the prompt already gives the
    logits.
    """
    photos, options = range(len(session.first_logits)), layout.options
    heads = [option.head for option in options]
    if not any(heads):
        return [
            _Heads(photo, options, (1.0,), 1.0, (photo,), (session.first_logits[photo],))
            for photo in photos
        ]
    fed = session.feed(
        [photo for photo in photos for _ in heads], [head for _ in photos for head in heads]
    )
    found = []
    for photo in photos:
        rows = tuple(range(photo * len(heads), (photo + 1) * len(heads)))
        steps = [torch.cat([session.first_logits[photo][None], fed[row]]) for row in rows]
        probabilities, mass = _head_probabilities(heads, steps)
        next_logits = tuple(step[-1] for step in steps)
        found.append(_Heads(photo, options, probabilities, mass, rows, next_logits))
    return found


def _head_probabilities(
    heads: Sequence[Tokens], steps: Sequence[torch.Tensor]
) -> tuple[tuple[float, ...], float]:
    """Return the probability of each head, and the mass of the most probable one.

    A head is the sequence of tokens before the first digit. Where heads differ, only their tokens
    are allowed, so their probabilities sum to 1. The mass is the probability that the model gives
    to the allowed tokens together, at the position where it is smallest.
    """
    probabilities, masses = [1.0] * len(heads), [1.0] * len(heads)
    for index, head in enumerate(heads):
        for position, token in enumerate(head):
            fork = sorted(
                {other[position] for other in heads if other[:position] == head[:position]}
            )
            if len(fork) > 1:
                slot, mass = _choose(steps[index][position], fork, token)
                probabilities[index] *= slot.probability
                masses[index] = min(masses[index], mass)
    return tuple(probabilities), masses[max(range(len(heads)), key=probabilities.__getitem__)]


def _choose(logits: torch.Tensor, tokens: Sequence[int], chosen: int) -> tuple[Slot, float]:
    """Return a slot with `tokens` as options, and the probability of all these tokens together.

    That probability is 0 if the logits have overflowed in half precision.
    """
    log_all = logits.log_softmax(-1)[list(tokens)]
    if not bool(log_all.isfinite().any()) or bool(log_all.isnan().any()):
        return Slot((1 / len(tokens),) * len(tokens), list(tokens).index(chosen)), 0.0
    return Slot(tuple(log_all.softmax(-1).tolist()), list(tokens).index(chosen)), float(
        log_all.exp().sum()
    )


def _first_cuts(heads: _Heads, option: Option) -> list[_Path]:
    """Return one path for each depth of the first cut of an option."""
    if option.keyway is None:
        return []
    index = heads.options.index(option)
    other_slots = (Slot(heads.probabilities, index),) if len(heads.options) > 1 else ()
    path = _Path(
        heads.photo,
        heads.rows[index],
        option,
        Choice(option.keyway.name, (), (), other_slots),
        heads.mass,
    )
    return _next_cuts(path, heads.next_logits[index])


def _next_cuts(path: _Path, logits: torch.Tensor) -> list[_Path]:
    """Return the path, extended by each depth that the next cut may have."""
    codes, digits = path.choice.codes, path.option.digits[len(path.choice.codes)]
    slot, mass = _choose(logits, list(digits), next(iter(digits)))
    extended = []
    for chosen, (token, depth) in enumerate(digits.items()):
        if not codes or _may_follow(path.option.keyway, codes[-1], depth):
            choice = replace(
                path.choice,
                codes=(*codes, depth),
                digits=(*path.choice.digits, replace(slot, chosen=chosen)),
            )
            extended.append(replace(path, choice=choice, mass=min(path.mass, mass), last=token))
    return extended


def _may_follow(keyway: Keyway | None, previous: int, depth: int) -> bool:
    """Return True if two neighbouring cuts respect the keyway's MACS."""
    if keyway is None or keyway.macs is None:
        return True
    levels = list(keyway.depths_mm)
    return abs(levels.index(previous) - levels.index(depth)) <= keyway.macs


def _piece(path: _Path) -> Tokens:
    """Return the tokens to feed next: the chosen digit and the text up to the next digit."""
    return (path.last, *path.option.gaps[len(path.choice.codes) - 1])


def _extend(path: _Path, after: torch.Tensor) -> list[_Path]:
    """Return the paths for the next cut, and for the end of the code if the keyway allows it here.

    `after` contains the logits after each token that was fed.
    """
    if len(path.choice.codes) not in path.option.counts:
        return _next_cuts(path, after[-1])
    next_token = path.option.gaps[len(path.choice.codes) - 1][0]
    slot, _ = _choose(after[0], [path.option.stop, next_token], next_token)
    other_slots = path.choice.other_slots
    ended = replace(
        path,
        choice=replace(path.choice, other_slots=(*other_slots, replace(slot, chosen=0))),
        stopped=True,
    )
    return [
        ended,
        *_next_cuts(
            replace(path, choice=replace(path.choice, other_slots=(*other_slots, slot))), after[-1]
        ),
    ]


def _best(paths: Sequence[_Path], beams: int) -> list[_Path]:
    ranked = sorted(((path.choice.probability, path) for path in paths), key=lambda item: -item[0])[
        :beams
    ]
    return [path for probability, path in ranked if probability >= _PRUNE_RATIO * ranked[0][0]]


def _scores(beam: Sequence[_Path], heads: _Heads) -> Scores:
    no_key = sum(
        probability
        for option, probability in zip(heads.options, heads.probabilities, strict=True)
        if option.keyway is None
    )
    mass = beam[0].mass if beam else heads.mass
    return Scores(tuple(path.choice for path in beam), no_key, mass, Trust.SLOTS)
