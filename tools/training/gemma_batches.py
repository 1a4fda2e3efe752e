"""Training batches for Gemma: cached squares, and tokens with the loss on the reply."""

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

# PyTorch's loss ignores this label.
UNTAUGHT = -100


@dataclass(frozen=True, slots=True)
class Lesson:
    """One photo as the model sees it, in a file, and the reply to learn."""

    square: Path
    reply: str


def frame(found: Iterable[Shot], framer: Framer, side: int, folder: Path) -> list[Path]:
    """Write the squares of all shots into `folder`, framed as the reader frames them.

    Files that exist are kept.

    Raises:
        DataError: A photo cannot be opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_framed(shot, framer, side, folder) for shot in found]


def _framed(shot: Shot, framer: Framer, side: int, folder: Path) -> Path:
    try:
        data = shot.path.read_bytes()
        path = (
            folder
            / f"{hashlib.sha256(data + f'{framer.picture} {side}'.encode()).hexdigest()[:32]}.png"
        )
        if not path.exists():
            square = framer.frame(open_photo(data).pixels, side).square
            # Written whole or not at all, even if the process stops here.
            square.save(path.with_suffix(".part"), "PNG")
            path.with_suffix(".part").rename(path)
    except KeylikeError as error:
        raise DataError(f"{shot.path.name}: {error.message}") from None
    except OSError as error:
        raise DataError(
            f"{shot.path.name} cannot be read, or its square not be written: {error.strerror}"
        ) from None
    return path


@dataclass(frozen=True, slots=True)
class Collator:
    """Joins lessons into a batch: the prompt of the reader, which has no code, and the reply."""

    processor: Any
    prompt: Prompt

    def __call__(self, lessons: Sequence[Lesson]) -> dict[str, Any]:
        """Return a batch.

        Returns:
            input_ids, attention_mask, token_type_ids and labels (n, length), pixel_values
            (n, 3, side, side). Labels are UNTAUGHT outside the reply and the end of its turn.
        """
        import torch

        squares = [_opened(lesson.square) for lesson in lessons]
        asked = prompt_inputs(self.processor, self.prompt, squares)
        replies = [
            torch.tensor(reply_ids(self.processor.tokenizer, lesson.reply)) for lesson in lessons
        ]
        ends = {
            "input_ids": _padded(replies, self.processor.tokenizer.pad_token_id),
            "attention_mask": _padded([torch.ones_like(reply) for reply in replies], 0),
            "token_type_ids": _padded([torch.zeros_like(reply) for reply in replies], 0),
        }
        whole = {name: torch.cat([asked[name], end], 1) for name, end in ends.items()}
        untaught = torch.full_like(asked["input_ids"], UNTAUGHT)
        return {
            **whole,
            "labels": torch.cat([untaught, _padded(replies, UNTAUGHT)], 1),
            "pixel_values": asked["pixel_values"],
        }


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as square:
        return square.convert("RGB")


def _padded(rows: Sequence[Any], value: int) -> Any:
    from torch.nn.utils.rnn import pad_sequence

    return pad_sequence(list(rows), batch_first=True, padding_value=value)
