"""Let the model write free text, for checkpoints whose reply has no fixed template.

Rules extract the code from the text. Its probability is that of the generated tokens.
"""

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
class GeneratedText:
    """The text that the model generated for one photo, without the prompt.

    Attributes:
        tokens: Generated tokens.
        logits: Logits at each token, shape (tokens, vocabulary).
        text: Decoded text.
        ends: Position in the text at which each token ends.
        finished: True if the model ended its turn before the token limit.
    """

    tokens: tuple[int, ...]
    logits: torch.Tensor
    text: str
    ends: tuple[int, ...]
    finished: bool

    def tokens_in(self, start: int, end: int) -> list[int]:
        """Return the indices of the tokens that make up a part of the text."""
        starts = (0, *self.ends[:-1])
        return [
            i
            for i, (a, b) in enumerate(zip(starts, self.ends, strict=True))
            if a < end and b > start
        ]


def read_free(model: Any, inputs: Any, tokenizer: Any, manifest: GemmaManifest) -> list[Scores]:
    """Generate text for each row of `inputs`, and return the scores of the code in it.

    Each token is the most probable one. Generation stops at the end of the turn, or after the
    manifest's `max_new_tokens`.
    """
    return [
        score_text(generated, tokenizer, manifest)
        for generated in generate(model, inputs, tokenizer, manifest.reply.max_new_tokens)
    ]


def generate(model: Any, inputs: Any, tokenizer: Any, max_new_tokens: int) -> list[GeneratedText]:
    """Generate text for each row, always with the most probable token, without the prompt."""
    ends = {end_of_turn(tokenizer), int(tokenizer.eos_token_id)}
    with torch.inference_mode():
        output = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=max_new_tokens,
            eos_token_id=sorted(ends),
            pad_token_id=tokenizer.pad_token_id,
            return_dict_in_generate=True,
            output_logits=True,
        )
    new_tokens = output.sequences[:, inputs["input_ids"].shape[1] :].tolist()
    logits = torch.stack(output.logits, 1)
    return [
        _generated_text(tokens, logits[row], tokenizer, ends)
        for row, tokens in enumerate(new_tokens)
    ]


def _generated_text(
    tokens: Sequence[int], logits: torch.Tensor, tokenizer: Any, ends: set[int]
) -> GeneratedText:
    length = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
    texts = [tokenizer.decode(tokens[: i + 1], skip_special_tokens=True) for i in range(length)]
    return GeneratedText(
        tuple(tokens[:length]),
        logits[:length],
        texts[-1] if texts else "",
        tuple(map(len, texts)),
        length < len(tokens),
    )


def score_text(generated: GeneratedText, tokenizer: Any, manifest: GemmaManifest) -> Scores:
    """Return the code in the generated text and its probabilities, or empty scores."""
    none = none_text(manifest.reply)
    if says_none(generated.text) or (none is not None and generated.text.strip() == none):
        return Scores((), 1.0, 1.0, Trust.LABELLED)
    reply = parse_reply(generated.text, manifest.keyways)
    # If the text was truncated, a code at its end may be incomplete.
    cut_off = (
        reply is not None and not generated.finished and reply.spans[-1][1] == len(generated.text)
    )
    choice = _choice(reply, generated, tokenizer, manifest) if reply and not cut_off else None
    if reply is None or choice is None:
        return Scores((), 0.0, 0.0, Trust.LOOSE)
    return Scores((choice,), 0.0, 1.0, reply.trust)


def _choice(
    reply: Reply, generated: GeneratedText, tokenizer: Any, manifest: GemmaManifest
) -> Choice | None:
    """Return the code in the maker's numbers, or None if it is not possible.

    If the reply does not name a keyway, the code must be possible for exactly one known keyway.
    """
    if reply.keyway is None and reply.keyway_span is not None:
        return None  # the reply names a keyway that this checkpoint was not trained on
    matching = [
        name
        for name in ([reply.keyway] if reply.keyway else manifest.keyways)
        if _codes(reply, name, manifest)
    ]
    if len(matching) != 1:
        return None
    name = matching[0]
    numbers = [
        number
        for number in range(100)
        if manifest.maker_depth(name, number) in keyway(name).depths_mm
    ]
    digits = tuple(_slot(generated, span, tokenizer, numbers) for span in reply.spans)
    others = tuple(_token_slot(generated, index) for index in _other_tokens(generated, reply))
    return Choice(name, _codes(reply, name, manifest), digits, others)


def _codes(reply: Reply, name: str, manifest: GemmaManifest) -> tuple[int, ...]:
    """Return the maker's code, or an empty tuple if the keyway does not allow it."""
    codes = tuple(
        -1 if (depth := manifest.maker_depth(name, number)) is None else depth
        for number in reply.digits
    )
    return codes if Bitting(keyway(name), codes).valid else ()


def _other_tokens(generated: GeneratedText, reply: Reply) -> list[int]:
    """Return the indices of the tokens that are not digits but that the reading depends on.

    For a code after a label, these are the tokens of the keyway. For a code without a label, they
    are all tokens up to the end of the code.
    """
    digits = {i for span in reply.spans for i in generated.tokens_in(*span)}
    if reply.trust is Trust.LOOSE:
        return [i for i in generated.tokens_in(0, reply.spans[-1][1]) if i not in digits]
    return generated.tokens_in(*reply.keyway_span) if reply.keyway_span else []


def _slot(
    generated: GeneratedText, span: tuple[int, int], tokenizer: Any, numbers: Sequence[int]
) -> Slot:
    """Return a slot for one number of the code. Its options are all possible numbers.

    If the number is only a part of a token, the options are that token and all others together.
    """
    index = generated.tokens_in(*span)[0]
    token = generated.tokens[index]
    token_text = tokenizer.convert_ids_to_tokens(token)
    if len(_DIGIT.findall(token_text)) != 1 or max(numbers) > 9:
        return _token_slot(generated, index)
    rivals = [
        tokenizer.convert_tokens_to_ids(_DIGIT.sub(str(number), token_text)) for number in numbers
    ]
    rivals = [rival for rival in rivals if rival not in (None, tokenizer.unk_token_id)]
    probabilities = generated.logits[index].float()[rivals].softmax(-1)
    return Slot(tuple(probabilities.tolist()), rivals.index(token))


def _token_slot(generated: GeneratedText, index: int) -> Slot:
    """Return a slot with two options: one token, and all other tokens together."""
    probability = float(generated.logits[index].float().softmax(-1)[generated.tokens[index]])
    return Slot((probability, 1 - probability), 0)
