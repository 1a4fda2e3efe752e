"""Prompt of the model and the reply it was trained to give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from keylike.readers.gemma.manifest import Prompt, ReplyShape


def prompt_inputs(processor: Any, prompt: Prompt, squares: Sequence[Image.Image]) -> Any:
    """Return the processor's tensors for one chat turn per picture.

    Returns:
        input_ids, attention_mask and token_type_ids of shape (n, length), and pixel_values of shape
            (n, 3, side, side).
    """
    conversations = [[{"role": "user", "content": _content(prompt, square)}] for square in squares]
    return processor.apply_chat_template(
        conversations,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )


def reply_text(reply: ReplyShape, keyway: str, codes: Sequence[int]) -> str:
    """Return the reply for a key whose numbers are on the model's own scale."""
    return reply.template.replace("{keyway}", keyway).replace(
        "{bitting}", ",".join(map(str, codes))
    )


def none_text(reply: ReplyShape) -> str | None:
    """Return the reply for a picture without a key, or None if the model has none.

    It is the template's line with the keyway, with `reply.none` in the keyway's place.
    """
    if reply.none is None or "{keyway}" not in reply.template:
        return None
    head, _, tail = reply.template.partition("{keyway}")
    return head + reply.none + tail.partition("\n")[0]


def _content(prompt: Prompt, square: Image.Image) -> list[dict[str, Any]]:
    picture, text = {"type": "image", "image": square}, {"type": "text", "text": prompt.text}
    return [picture, text] if prompt.image == "first" else [text, picture]
