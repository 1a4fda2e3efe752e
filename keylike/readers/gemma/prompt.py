"""Build the prompt of the model, and the text of the reply that it was trained to give."""

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
    """Return the reply for a key. `codes` are the numbers that the model writes."""
    return reply.template.replace("{keyway}", keyway).replace(
        "{bitting}", ",".join(map(str, codes))
    )


def none_text(reply: ReplyShape) -> str | None:
    """Return the reply for a picture without a key, or None if the model has none.

    It is the line of the template with the keyway, and with `reply.none` instead of the keyway.
    """
    if reply.none is None or "{keyway}" not in reply.template:
        return None
    head, _, tail = reply.template.partition("{keyway}")
    return head + reply.none + tail.partition("\n")[0]


def _content(prompt: Prompt, square: Image.Image) -> list[dict[str, Any]]:
    picture, text = {"type": "image", "image": square}, {"type": "text", "text": prompt.text}
    return [picture, text] if prompt.image == "first" else [text, picture]
