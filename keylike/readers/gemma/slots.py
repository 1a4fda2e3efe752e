"""The tokens of the reply template: fixed text, a slot for the keyway, and a slot for each cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from keylike.errors import ModelError
from keylike.keys.keyways import Keyway, keyway
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.prompt import none_text, reply_text

Tokens = tuple[int, ...]
Encode = Callable[[str], Tokens]


@dataclass(frozen=True, slots=True)
class Option:
    """The reply for one keyway as tokens, or the reply that there is no key.

    Attributes:
        keyway: Keyway, or None for "no key".
        head: Tokens before the first digit.
        gaps: Tokens between each digit and the next.
        stop: First token after the last digit.
        digits: For each cut, the tokens of its possible numbers, each with the maker's depth.
        counts: Possible numbers of cuts.
    """

    keyway: Keyway | None
    head: Tokens
    gaps: tuple[Tokens, ...] = ()
    stop: int = -1
    digits: tuple[Mapping[int, int], ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The options of a reply.

    Attributes:
        common: First tokens, which are the same for all options.
        options: Options. Their heads do not include the common tokens.
    """

    common: Tokens
    options: tuple[Option, ...]


def encoder(tokenizer: Any) -> Encode:
    """Return a function that converts text to tokens, without adding special tokens."""
    return lambda text: tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def end_of_turn(tokenizer: Any) -> int:
    """Return the token that ends the model's turn."""
    found = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    return int(
        tokenizer.eos_token_id if found is None or found == tokenizer.unk_token_id else found
    )


def reply_ids(tokenizer: Any, text: str) -> Tokens:
    """Return the tokens of a complete reply with the end of the turn, as used in training."""
    return (*encoder(tokenizer)(text), end_of_turn(tokenizer))


def build_layout(manifest: GemmaManifest, tokenizer: Any) -> Layout:
    """Return the token layout of a checkpoint's replies.

    Raises:
        ModelError: The tokenizer does not encode each digit as a separate token.
    """
    encode, end = encoder(tokenizer), end_of_turn(tokenizer)
    options = [_option(manifest, name, encode, end) for name in manifest.keyways]
    no_key = none_text(manifest.reply)
    if no_key is not None:
        options.append(Option(None, (*encode(no_key), end)))
    common = _common_prefix([option.head for option in options])
    return Layout(
        common, tuple(replace(option, head=option.head[len(common) :]) for option in options)
    )


def _option(manifest: GemmaManifest, name: str, encode: Encode, end: int) -> Option:
    key_type = keyway(name)
    scale = {number: manifest.maker_depth(name, number) for number in range(10)}
    depths = {
        number: maker_depth
        for number, maker_depth in scale.items()
        if maker_depth is not None and maker_depth in key_type.depths_mm
    }
    counts = tuple(sorted(key_type.cut_counts))
    # To find the positions of the digits, compare replies that repeat one number at every cut.
    replies = {
        number: (*encode(reply_text(manifest.reply, name, [number] * counts[-1])), end)
        for number in depths
    }
    positions = [
        i for i, tokens in enumerate(zip(*replies.values(), strict=False)) if len(set(tokens)) > 1
    ]
    if len({len(tokens) for tokens in replies.values()}) != 1 or len(positions) != counts[-1]:
        raise ModelError(
            f"the tokenizer does not encode each depth of {name} as one token: "
            "set decoding to free in manifest.toml"
        )
    example = next(iter(replies.values()))
    digits = tuple(
        {tokens[position]: depths[number] for number, tokens in replies.items()}
        for position in positions
    )
    gaps = tuple(example[position + 1 : following] for position, following in pairwise(positions))
    return Option(
        key_type, example[: positions[0]], gaps, example[positions[-1] + 1], digits, counts
    )


def _common_prefix(heads: list[Tokens]) -> Tokens:
    """Return the longest common prefix of all heads."""
    shared = 0
    for tokens in zip(*heads, strict=False):
        if len(set(tokens)) > 1:
            break
        shared += 1
    return heads[0][:shared]
