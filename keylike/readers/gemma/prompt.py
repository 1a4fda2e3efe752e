"""What is put before the model: the chat turn with its picture, and the reply it was trained to give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from keylike.readers.gemma.manifest import Prompt, ReplyShape


def prompt_inputs(processor: Any, prompt: Prompt, squares: Sequence[Image.Image]) -> Any:
    """The processor's tensors for one turn a picture, up to where the model begins to answer: input_ids, attention_mask,
    token_type_ids (n, length) and pixel_values (n, 3, side, side)."""
    turns = [[{"role": "user", "content": _content(prompt, square)}] for square in squares]
    return processor.apply_chat_template(
        turns,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )


def reply_text(reply: ReplyShape, keyway: str, codes: Sequence[int]) -> str:
    """The reply for a key, its numbers on the model's own scale."""
    return reply.template.replace("{keyway}", keyway).replace(
        "{bitting}", ",".join(map(str, codes))
    )


def none_text(reply: ReplyShape) -> str | None:
    """The reply where there is no key: the template's line with the keyway, naming none. None where the model cannot say so."""
    if reply.none is None or "{keyway}" not in reply.template:
        return None
    head, _, tail = reply.template.partition("{keyway}")
    return head + reply.none + tail.partition("\n")[0]


def _content(prompt: Prompt, square: Image.Image) -> list[dict[str, Any]]:
    picture, text = {"type": "image", "image": square}, {"type": "text", "text": prompt.text}
    return [picture, text] if prompt.image == "first" else [text, picture]
