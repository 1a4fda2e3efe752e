"""Tests of attacks while a tiny Gemma is loaded: chat templates, other names, exchanged files."""

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
    """Return a copy of the merged model, without the manifest whose hashes would detect changes."""
    shutil.copytree(gemma_models.merged, tmp_path / "keys")
    (tmp_path / "keys" / "manifest.toml").unlink()
    return tmp_path / "keys"


def load_slot(folder: Path) -> EngineSlot:
    """Load the model as the server does, with the colour reader as the spare reader."""
    slot = slot_of(lambda: load(folder), spare=colour_reader)
    slot.load()
    return slot


TEMPLATES = {
    "shell access": "{{ cycler.__init__.__globals__.os.system('touch TRACE') }}",
    "access to all classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "access through str.format": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "inclusion of a file": "{% include 'config.json' %}",
    "an endless range": "{% for a in range(10 ** 9) %}{% endfor %}",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_hostile_chat_template_cannot_do_harm(folder: Path, tmp_path: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_text(
        TEMPLATES[template].replace("TRACE", str(tmp_path / "trace"))
    )
    slot = load_slot(folder)
    assert (
        slot.name == "colour-1.0.0" and slot.reason is not None and str(tmp_path) not in slot.reason
    )
    assert not (tmp_path / "trace").exists()


def test_names_of_other_models_in_the_configuration_are_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[object] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *names, **_: requests.append(names))
    write_json(
        folder / "config.json", _name_or_path="evil/model", name_or_path="https://evil.example/m"
    )
    write_json(folder / "tokenizer_config.json", name_or_path="evil/model")
    assert load_slot(folder).reason is None
    assert requests == []


def test_weights_that_are_exchanged_during_loading_are_refused(
    gemma_models: GemmaModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keylike.readers.gemma import backends

    folder = tmp_path / "keys"
    shutil.copytree(gemma_models.merged, folder)
    real = backends.choose("transformers")

    class ExchangingBackend:
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
    monkeypatch.setattr("keylike.readers.gemma.reader.choose", lambda _: ExchangingBackend())
    with pytest.raises(ModelError, match="keys or its base was changed while it was being loaded"):
        reader()
