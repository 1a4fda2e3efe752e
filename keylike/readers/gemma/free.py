"""Reads what the model writes freely, for checkpoints whose reply has no fixed shape: text by rules, probabilities by the tokens used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.model_output import Choice, Scores, Slot, Trust
from keylike.readers.gemma.prompt import none_text
from keylike.readers.gemma.slots import end_of_turn
from keylike.readers.reply import Reply, parse_reply, says_none

_DIGIT = re.compile("[0-9]")


@dataclass(frozen=True, slots=True)
class Written:
    """What the model newly wrote for one photo.

    `tokens`, the `logits` each was taken from (steps, vocabulary), the `text`, and where in the text each token ends.
    `finished`: it ended its turn, and was not cut off.
    """

    tokens: tuple[int, ...]
    logits: torch.Tensor
    text: str
    ends: tuple[int, ...]
    finished: bool

    def at(self, start: int, end: int) -> list[int]:
        """The tokens that make up a part of the text."""
        starts = (0, *self.ends[:-1])
        return [
            i
            for i, (a, b) in enumerate(zip(starts, self.ends, strict=True))
            if a < end and b > start
        ]


def read_free(model: Any, inputs: Any, tokenizer: Any, manifest: GemmaManifest) -> list[Scores]:
    """What the model writes for each row of `inputs`, greedily, until its turn ends or `max_new_tokens` are used up."""
    return [
        hear_written(one, tokenizer, manifest)
        for one in write(model, inputs, tokenizer, manifest.reply.max_new_tokens)
    ]


def write(model: Any, inputs: Any, tokenizer: Any, max_new_tokens: int) -> list[Written]:
    """Generates greedily; only what is new counts, never the prompt."""
    ends = {end_of_turn(tokenizer), int(tokenizer.eos_token_id)}
    with torch.inference_mode():
        made = model.generate(
            **inputs, do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=sorted(ends), pad_token_id=tokenizer.pad_token_id,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
    new = made.sequences[:, inputs["input_ids"].shape[1] :].tolist()
    logits = torch.stack(made.logits, 1)
    return [_written(tokens, logits[row], tokenizer, ends) for row, tokens in enumerate(new)]


def _written(
    tokens: Sequence[int], logits: torch.Tensor, tokenizer: Any, ends: set[int]
) -> Written:
    length = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
    texts = [tokenizer.decode(tokens[: i + 1], skip_special_tokens=True) for i in range(length)]
    return Written(
        tuple(tokens[:length]),
        logits[:length],
        texts[-1] if texts else "",
        tuple(map(len, texts)),
        length < len(tokens),
    )


def hear_written(written: Written, tokenizer: Any, manifest: GemmaManifest) -> Scores:
    """What is to be made of it."""
    none = none_text(manifest.reply)
    if says_none(written.text) or (none is not None and written.text.strip() == none):
        return Scores((), 1.0, 1.0, Trust.LABELLED)
    reply = parse_reply(written.text, manifest.keyways)
    # A code that the end of the allowance may have cut short is none.
    cut_off = reply is not None and not written.finished and reply.spans[-1][1] == len(written.text)
    choice = _choice(reply, written, tokenizer, manifest) if reply and not cut_off else None
    if reply is None or choice is None:
        return Scores((), 0.0, 0.0, Trust.LOOSE)
    return Scores((choice,), 0.0, 1.0, reply.trust)


def _choice(
    reply: Reply, written: Written, tokenizer: Any, manifest: GemmaManifest
) -> Choice | None:
    """The code as the maker's, if there can be such a key; a keyway that was not named must be the only one it fits."""
    if reply.keyway is None and reply.keyway_span is not None:
        return None  # it names a keyway that this checkpoint was not taught
    fitting = [
        name
        for name in ([reply.keyway] if reply.keyway else manifest.keyways)
        if _codes(reply, name, manifest)
    ]
    if len(fitting) != 1:
        return None
    name = fitting[0]
    numbers = [
        number for number in range(100) if manifest.maker(name, number) in keyway(name).depths_mm
    ]
    digits = tuple(_slot(written, span, tokenizer, numbers) for span in reply.spans)
    others = tuple(_chance(written, place) for place in _besides(written, reply))
    return Choice(name, _codes(reply, name, manifest), digits, others)


def _codes(reply: Reply, name: str, manifest: GemmaManifest) -> tuple[int, ...]:
    """The maker's code; empty where that is no key of the keyway."""
    codes = tuple(
        -1 if (depth := manifest.maker(name, number)) is None else depth for number in reply.digits
    )
    return codes if Bitting(keyway(name), codes).valid else ()


def _besides(written: Written, reply: Reply) -> list[int]:
    """The tokens besides the digits that the reading rests on: the keyway's; where nothing was labelled, all up to the code's end."""
    digits = {i for span in reply.spans for i in written.at(*span)}
    if reply.trust is Trust.LOOSE:
        return [i for i in written.at(0, reply.spans[-1][1]) if i not in digits]
    return written.at(*reply.keyway_span) if reply.keyway_span else []


def _slot(written: Written, span: tuple[int, int], tokenizer: Any, numbers: Sequence[int]) -> Slot:
    """One number among all that could stand in its place; where its token holds more than the one digit, that token or not."""
    place = written.at(*span)[0]
    token = written.tokens[place]
    piece = tokenizer.convert_ids_to_tokens(token)
    if len(_DIGIT.findall(piece)) != 1 or max(numbers) > 9:
        return _chance(written, place)
    rivals = [tokenizer.convert_tokens_to_ids(_DIGIT.sub(str(number), piece)) for number in numbers]
    rivals = [rival for rival in rivals if rival not in (None, tokenizer.unk_token_id)]
    among = written.logits[place].float()[rivals].softmax(-1)
    return Slot(tuple(among.tolist()), rivals.index(token))


def _chance(written: Written, place: int) -> Slot:
    """A token against all others."""
    chance = float(written.logits[place].float().softmax(-1)[written.tokens[place]])
    return Slot((chance, 1 - chance), 0)
