"""Training batches for Gemma: cached square pictures, and the tokens of prompt and reply.

Only the tokens of the reply contribute to the loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from keylike.errors import KeylikeError
from keylike.images.photo import open_photo
from keylike.readers.evaluation import Shot
from keylike.readers.gemma.manifest import Prompt
from keylike.readers.gemma.picture import Framer
from keylike.readers.gemma.prompt import prompt_inputs
from keylike.readers.gemma.slots import reply_ids
from tools.training.gemma_data import DataError

# Label of tokens that PyTorch's cross-entropy loss ignores.
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Example:
    """Training example: the file of the square picture, and the reply to learn."""

    square: Path
    reply: str


def frame(shots: Iterable[Shot], framer: Framer, side: int, folder: Path) -> list[Path]:
    """Crop the photos to squares as the reader does, and return their files in `folder`.

    Squares that exist already are not written again.

    Args:
        shots: Photos to crop.
        framer: Object that crops photos for the reader.
        side: Width and height of the squares in pixels.
        folder: Folder of the squares.

    Raises:
        DataError: A photo cannot be decoded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_save_square(shot, framer, side, folder) for shot in shots]


def _save_square(shot: Shot, framer: Framer, side: int, folder: Path) -> Path:
    try:
        data = shot.path.read_bytes()
        path = (
            folder
            / f"{hashlib.sha256(data + f'{framer.picture} {side}'.encode()).hexdigest()[:32]}.png"
        )
        if not path.exists():
            square = framer.frame(open_photo(data).pixels, side).square
            # Written under another name first, so that an interruption leaves no incomplete square.
            square.save(path.with_suffix(".part"), "PNG")
            path.with_suffix(".part").rename(path)
    except KeylikeError as error:
        raise DataError(f"{shot.path.name}: {error.message}") from None
    except OSError as error:
        raise DataError(
            f"{shot.path.name} cannot be read, or its square cannot be written: {error.strerror}"
        ) from None
    return path


@dataclass(frozen=True, slots=True)
class Collator:
    """Converter of examples to batches of prompts and replies.

    The prompt is the one that the reader uses. It does not contain the code.
    """

    processor: Any
    prompt: Prompt

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the tensors of a batch.

        Returns:
            input_ids, attention_mask, token_type_ids and labels of shape (n, length), and
                pixel_values of shape (n, 3, side, side). `labels` are IGNORED for all tokens
                except those of the reply and the end-of-turn token after it.
        """
        import torch

        squares = [_open_square(example.square) for example in examples]
        prompt = prompt_inputs(self.processor, self.prompt, squares)
        replies = [
            torch.tensor(reply_ids(self.processor.tokenizer, example.reply)) for example in examples
        ]
        reply_tensors = {
            "input_ids": _pad(replies, self.processor.tokenizer.pad_token_id),
            "attention_mask": _pad([torch.ones_like(reply) for reply in replies], 0),
            "token_type_ids": _pad([torch.zeros_like(reply) for reply in replies], 0),
        }
        tensors = {
            name: torch.cat([prompt[name], reply_tensor], 1)
            for name, reply_tensor in reply_tensors.items()
        }
        ignored = torch.full_like(prompt["input_ids"], IGNORED)
        return {
            **tensors,
            "labels": torch.cat([ignored, _pad(replies, IGNORED)], 1),
            "pixel_values": prompt["pixel_values"],
        }


def _open_square(path: Path) -> Image.Image:
    with Image.open(path) as square:
        return square.convert("RGB")


def _pad(rows: Sequence[Any], value: int) -> Any:
    from torch.nn.utils.rnn import pad_sequence

    return pad_sequence(list(rows), batch_first=True, padding_value=value)
