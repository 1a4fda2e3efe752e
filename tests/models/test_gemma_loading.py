"""Attacks on a real tiny Gemma, up to where transformers opens it: chat templates, and files exchanged while they are loaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from keylike.engines.engine_slot import EngineSlot
from keylike.errors import ModelError
from keylike.readers.contract import Reader
from keylike.readers.loading import load
from tests.engines.test_engine_slot import slot_of
from tests.fakes import colour_reader
from tests.gemma_models import GemmaModels
from tests.readers.gemma.fake_folders import write_json

pytestmark = pytest.mark.gemma


@pytest.fixture
def folder(gemma_models: GemmaModels, tmp_path: Path) -> Path:
    """The merged model, without a manifest: nothing but the folder's own words are looked at."""
    shutil.copytree(gemma_models.merged, tmp_path / "keys")
    (tmp_path / "keys" / "manifest.toml").unlink()
    return tmp_path / "keys"


def served(folder: Path) -> EngineSlot:
    """As the server takes it, with another reader where it cannot be had."""
    slot = slot_of(lambda: load(folder), spare=colour_reader)
    slot.load()
    return slot


TEMPLATES = {
    "a way to the system": "{{ cycler.__init__.__globals__.os.system('touch TRACE') }}",
    "a way to all classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a way by text": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "a file": "{% include 'config.json' %}",
    "an endless range": "{% for a in range(10 ** 9) %}{% endfor %}",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_template_runs_in_a_sandbox(folder: Path, tmp_path: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_text(
        TEMPLATES[template].replace("TRACE", str(tmp_path / "trace"))
    )
    slot = served(folder)
    assert (
        slot.name == "colour-1.0.0" and slot.reason is not None and str(tmp_path) not in slot.reason
    )
    assert not (tmp_path / "trace").exists()


def test_other_names_of_a_base_are_never_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *names, **_: asked.append(names))
    write_json(
        folder / "config.json", _name_or_path="evil/model", name_or_path="https://evil.example/m"
    )
    write_json(folder / "tokenizer_config.json", name_or_path="evil/model")
    assert served(folder).reason is None
    assert asked == []


def test_weights_exchanged_while_they_are_loaded_are_not_served(
    gemma_models: GemmaModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keylike.readers.gemma import backends

    folder = tmp_path / "keys"
    shutil.copytree(gemma_models.merged, folder)
    real = backends.choose("transformers")

    class Meanwhile:
        name = "transformers"

        def load(self, checkpoint: object, precision: str) -> object:
            loaded = real.load(checkpoint, precision)  # type: ignore[arg-type]
            os.replace(
                shutil.copy(folder / "model.safetensors", tmp_path / "new"),
                folder / "model.safetensors",
            )
            return loaded

    def reader() -> Reader:
        return load(folder)

    reader()
    monkeypatch.setattr("keylike.readers.gemma.reader.choose", lambda _: Meanwhile())
    with pytest.raises(ModelError, match="keys or its base was changed while it was loaded"):
        reader()
