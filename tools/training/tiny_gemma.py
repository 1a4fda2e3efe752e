"""Build a complete Gemma 3n with random weights that is small enough for a laptop.

`python -m tools.training.tiny_gemma OUT` writes the model to OUT. It has every part of the real one
(text, vision, audio, tokenizer, processor, chat template) in a few megabytes. Until it is
fine-tuned, its answers are random. Tests, benchmarks and experiments use it, so that they need no
download.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from keylike.keys.keyways import keyways
from keylike.readers.gemma.legacy_manifest import PROMPT
from keylike.readers.gemma.manifest import Prompt
from keylike.readers.gemma.with_transformers import prepare

# Number of token ids by type. As in the real model, the ids of text come first (with the start
# tokens of images and audio), then those of vision, then those of audio.
TEXT_IDS, VISION_IDS, AUDIO_IDS = 768, 8, 8
SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
MODALITY_TOKENS = {
    "boi_token": "<start_of_image>",
    "boa_token": "<start_of_audio>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
    "eoa_token": "<end_of_audio>",
    "audio_token": "<audio_soft_token>",
}
AUDIO_TOKENS = 188  # tokens per audio clip
LAYERS = 4  # default number of text layers; the real model has 35
# Standard deviations of the noise that is added to the weights, and of the embeddings. With
# transformers' default of 0.02, the last layer could not distinguish tokens.
NOISE_STD, EMBEDDING_STD = 0.05, 0.4
VISION_WIDTH = 2048  # output channels of timm's vision network, which cannot be changed
# Text on which the tokenizer is trained.
CORPUS = (
    Prompt().text,
    PROMPT,
    "KEYWAY: NONE\nBITTING: NONE\nBRAND: NONE\nCONFIDENCE: \nPRODUCTION: \nCOMPLEXITY: \n",
    "user\nmodel\n\n\n",
)
TEMPLATE = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set content = messages[0]['content'] -%}
    {%- set system = content if content is string else content[0]['text'] -%}
    {%- set opening = system + '\n\n' -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set opening = '' -%}
    {%- set turns = messages -%}
{%- endif -%}
{%- for turn in turns -%}
    {%- set role = 'model' if turn['role'] == 'assistant' else turn['role'] -%}
    {{ '<start_of_turn>' + role + '\n' + (opening if loop.first else '') }}
    {%- if turn['content'] is string -%}
        {{ turn['content'] | trim }}
    {%- else -%}
        {%- for item in turn['content'] -%}
            {%- if item['type'] == 'audio' -%}{{ '<audio_soft_token>' }}
            {%- elif item['type'] == 'image' -%}{{ '<image_soft_token>' }}
            {%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
"""


def build(folder: Path, *, side: int, image_tokens: int, seed: int, layers: int = LAYERS) -> None:
    """Write a model with tokenizer, processor and chat template into `folder`.

    The same seed gives the same weights.

    Args:
        folder: Output folder.
        side: Width and height of the picture in pixels, a multiple of 16 times the square root of
            `image_tokens`. The vision network reduces the picture's side to a sixteenth.
        image_tokens: Tokens per picture, a square number.
        seed: Random seed.
        layers: Number of text layers, at least four.

    Raises:
        ValueError: An argument is out of range.
    """
    prepare()
    grid = math.isqrt(image_tokens)
    if layers < LAYERS:
        raise ValueError(f"a Gemma 3n with fewer than {LAYERS} layers lacks some of its parts")
    if grid * grid != image_tokens or side % (16 * grid):
        raise ValueError(
            "image_tokens must be a square number, and side a multiple of 16 times its root"
        )
    tokenizer = _tokenizer()
    _model(tokenizer, image_tokens, seed, layers).save_pretrained(folder)
    _processor(tokenizer, side, image_tokens).save_pretrained(folder)


def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the vocabulary and the merges of the tokenizer.

    The vocabulary contains bytes, printable characters, and parts of typical replies. No token has
    two digits.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split(Regex(r"▁?[A-Za-z]+|\n+|[^A-Za-z\n]"), "isolated")
    names = [name for one in keyways().values() for name in (one.name, one.brand)]
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_IDS - 2,
        special_tokens=[*SPECIALS, *BYTES],
        initial_alphabet=["\n", "▁", *map(chr, range(33, 127))],
        show_progress=False,
    )
    trained.train_from_iterator(
        [*CORPUS * 4, *(f"KEYWAY: {name}\nBRAND: {name}\n" for name in names)], trainer
    )
    learned = json.loads(trained.to_str())["model"]
    return _assign_ids(learned["vocab"]), [tuple(merge) for merge in learned["merges"]]


def _assign_ids(learned: dict[str, int]) -> dict[str, int]:
    fill = [f"<unused{number}>" for number in range(len(learned), TEXT_IDS - 2)]
    vision = [
        MODALITY_TOKENS["eoi_token"],
        MODALITY_TOKENS["image_token"],
        *(f"<vision{n}>" for n in range(VISION_IDS - 2)),
    ]
    audio = [
        MODALITY_TOKENS["eoa_token"],
        MODALITY_TOKENS["audio_token"],
        *(f"<audio{n}>" for n in range(AUDIO_IDS - 2)),
    ]
    tokens = [
        *sorted(learned, key=learned.__getitem__),
        *fill,
        MODALITY_TOKENS["boi_token"],
        MODALITY_TOKENS["boa_token"],
        *vision,
        *audio,
    ]
    return {token: number for number, token in enumerate(tokens)}


def _tokenizer() -> Any:
    from tokenizers.processors import TemplateProcessing
    from transformers import GemmaTokenizer

    vocabulary, merges = _vocabulary()
    tokenizer = GemmaTokenizer(
        vocab=vocabulary,
        merges=merges,
        padding_side="left",
        extra_special_tokens=list(SPECIALS[-2:]),
        **MODALITY_TOKENS,
    )
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 2)]
    )
    return tokenizer


def _layer_config(layers: int) -> dict[str, Any]:
    """Return the layer settings: attention types, shared layers and sparsity.

    Their proportions are those of the real model.
    """
    full_attention_period = 5 if layers >= 10 else 2
    kinds = [
        "full_attention" if (layer + 1) % full_attention_period == 0 else "sliding_attention"
        for layer in range(layers)
    ]
    sparse = layers * 2 // 7
    return {
        "num_hidden_layers": layers,
        "layer_types": kinds,
        "num_kv_shared_layers": max(2, layers * 3 // 7),
        "activation_sparsity_pattern": [0.95] * sparse + [0.0] * (layers - sparse),
    }


def _config(ids: dict[str, int], image_tokens: int, layers: int) -> Any:
    from transformers import Gemma3nConfig

    return Gemma3nConfig(
        text_config={
            "vocab_size": TEXT_IDS + VISION_IDS + AUDIO_IDS,
            "vocab_size_per_layer_input": TEXT_IDS,
            "hidden_size": 64,
            "intermediate_size": 128,
            **_layer_config(layers),
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "sliding_window": 512,
            "hidden_size_per_layer_input": 16,
            "laurel_rank": 8,
            "max_position_embeddings": 4096,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 2,
        },
        vision_config={
            "architecture": "mobilenetv5_300m_enc",
            "hidden_size": VISION_WIDTH,
            "vocab_size": VISION_IDS,
            "vocab_offset": TEXT_IDS,
            "model_args": {
                "channel_multiplier": 0.01,
                "stem_size": 8,
                "msfa_output_resolution": math.isqrt(image_tokens),
            },
        },
        audio_config={
            "vocab_size": AUDIO_IDS,
            "vocab_offset": TEXT_IDS + VISION_IDS,
            "hidden_size": 32,
            "conf_num_attention_heads": 2,
            "conf_num_hidden_layers": 1,
            "input_feat_size": 32,
            "sscp_conv_channel_size": (8, 4),
        },
        vision_soft_tokens_per_image=image_tokens,
        audio_soft_tokens_per_image=AUDIO_TOKENS,
        eos_token_id=[1, ids["<end_of_turn>"]],
        **{f"{name}_id": ids[word] for name, word in MODALITY_TOKENS.items()},
    )


def _model(tokenizer: Any, image_tokens: int, seed: int, layers: int) -> Any:
    import torch
    from transformers import Gemma3nForConditionalGeneration, GenerationConfig

    config = _config(tokenizer.get_vocab(), image_tokens, layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Gemma3nForConditionalGeneration(config).eval()
        _add_noise(model)
    model.generation_config = GenerationConfig(
        bos_token_id=2,
        pad_token_id=0,
        eos_token_id=config.eos_token_id,
        do_sample=True,
        top_k=64,
        top_p=0.95,
    )
    return model


def _add_noise(model: Any) -> None:
    """Add noise to the weights.

    The weights of new normalisations and some projections are all ones or zeros. Without noise, the
    parts of the model would not affect each other. The vision network gets no noise: its layers
    have only 8 channels, and with noise, rounding to half precision would change its output as much
    as another picture does.
    """
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith("model.vision_tower"):
                weight.add_(torch.randn_like(weight) * NOISE_STD)
        model.get_input_embeddings().weight.normal_(std=EMBEDDING_STD)


def _processor(tokenizer: Any, side: int, image_tokens: int) -> Any:
    from transformers import Gemma3nAudioFeatureExtractor, Gemma3nProcessor
    from transformers.models.siglip.image_processing_siglip import SiglipImageProcessor

    return Gemma3nProcessor(
        feature_extractor=Gemma3nAudioFeatureExtractor(feature_size=32),
        image_processor=SiglipImageProcessor(
            size={"height": side, "width": side},
            resample=2,
            do_normalize=False,
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
            do_convert_rgb=True,
            default_to_square=True,
        ),
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
        image_seq_length=image_tokens,
        audio_seq_length=AUDIO_TOKENS,
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=128, help="pixels of the square picture")
    parser.add_argument("--image-tokens", type=int, default=16, help="tokens per picture")
    parser.add_argument(
        "--layers", type=int, default=LAYERS, help="text layers; the real model has 35"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    build(
        options.out,
        side=options.side,
        image_tokens=options.image_tokens,
        seed=options.seed,
        layers=options.layers,
    )
    size = sum(path.stat().st_size for path in options.out.iterdir())
    print(f"{options.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
