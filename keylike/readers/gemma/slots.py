"""Where the model may choose: the reply's template as tokens, its literal parts fixed, one place for the keyway and one for each cut."""

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
    """One keyway as tokens, or (`keyway` None) the whole reply that there is no key.

    `head`: what stands before the first digit. `gaps`: what stands between digit i and the next. `stop`: what comes first after the
    last digit. `digits`: for each place, the token of each of the model's numbers -> the maker's depth. `counts`: how many cuts.
    """

    keyway: Keyway | None
    head: Tokens
    gaps: tuple[Tokens, ...] = ()
    stop: int = -1
    digits: tuple[Mapping[int, int], ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """`common` are the tokens that every option begins with; the heads of `options` go on from there."""

    common: Tokens
    options: tuple[Option, ...]


def encoder(tokenizer: Any) -> Encode:
    """Text to tokens, nothing added."""
    return lambda text: tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def end_of_turn(tokenizer: Any) -> int:
    """The token that ends the model's turn."""
    found = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    return int(
        tokenizer.eos_token_id if found is None or found == tokenizer.unk_token_id else found
    )


def reply_ids(tokenizer: Any, text: str) -> Tokens:
    """What the model is to say, token by token, the end of its turn included; training and reading agree because both ask here."""
    return (*encoder(tokenizer)(text), end_of_turn(tokenizer))


def lay_out(manifest: GemmaManifest, tokenizer: Any) -> Layout:
    """The slots of a checkpoint. Raises ModelError where its tokenizer does not write each digit as a token of its own."""
    encode, end = encoder(tokenizer), end_of_turn(tokenizer)
    options = [_option(manifest, name, encode, end) for name in manifest.keyways]
    nothing = none_text(manifest.reply)
    if nothing is not None:
        options.append(Option(None, (*encode(nothing), end)))
    common = _common([option.head for option in options])
    return Layout(
        common, tuple(replace(option, head=option.head[len(common) :]) for option in options)
    )


def _option(manifest: GemmaManifest, name: str, encode: Encode, end: int) -> Option:
    way = keyway(name)
    scale = {number: manifest.maker(name, number) for number in range(10)}
    depths = {
        number: maker
        for number, maker in scale.items()
        if maker is not None and maker in way.depths_mm
    }
    counts = tuple(sorted(way.cut_counts))
    # For each number, the reply in which every cut has it: what differs between them is where the digits stand.
    replies = {
        number: (*encode(reply_text(manifest.reply, name, [number] * counts[-1])), end)
        for number in depths
    }
    places = [
        i for i, tokens in enumerate(zip(*replies.values(), strict=False)) if len(set(tokens)) > 1
    ]
    if len({len(tokens) for tokens in replies.values()}) != 1 or len(places) != counts[-1]:
        raise ModelError(
            f"the tokenizer does not write each depth of {name} as one token: set decoding to free in manifest.toml"
        )
    like = next(iter(replies.values()))
    digits = tuple(
        {tokens[place]: depths[number] for number, tokens in replies.items()} for place in places
    )
    gaps = tuple(like[place + 1 : after] for place, after in pairwise(places))
    return Option(way, like[: places[0]], gaps, like[places[-1] + 1], digits, counts)


def _common(heads: list[Tokens]) -> Tokens:
    """The longest beginning that all heads share."""
    shared = 0
    for tokens in zip(*heads, strict=False):
        if len(set(tokens)) > 1:
            break
        shared += 1
    return heads[0][:shared]
