"""Tests of the options of Pillow and pillow-heif: which code sets them, and when."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import open_photo
from keylike.readers.contract import Reader, ReaderInfo
from keylike.service import Load, create_app
from keylike.settings import Settings
from keylike.workers.wire import MessageType, receive, send
from keylike.workers.zygote import WorkerSpec
from tests.fakes import ColourReader

ROOT = Path(__file__).resolve().parents[2]
REPORT = """
import warnings
import pillow_heif
from PIL import Image
import keylike.images.photo
options = pillow_heif.options
print(Image.core.get_blocks_max(), options.THUMBNAILS, options.DEPTH_IMAGES, options.AUX_IMAGES)
print(any(each[2] is Image.DecompressionBombWarning for each in warnings.filters))
"""


class ReportingReader(ColourReader):
    """A reader whose name lists the library options of the process that loaded it."""

    def __init__(self) -> None:
        super().__init__()
        self._name = str(options())

    @property
    def info(self) -> ReaderInfo:
        """Return information about the reader, with the options as its name."""
        return ReaderInfo(self._name, "1.0.0", "fake", ("SC1",), "0" * 64)


def load_reporting_reader() -> Reader:
    """Return a `ReportingReader`."""
    return ReportingReader()


def options() -> tuple[int, bool, bool, bool]:
    """Return the options of Pillow and pillow-heif in this process."""
    return (
        Image.core.get_blocks_max(),  # type: ignore[attr-defined]
        pillow_heif.options.THUMBNAILS,
        pillow_heif.options.DEPTH_IMAGES,
        pillow_heif.options.AUX_IMAGES,
    )


def reset_options() -> None:
    """Restore the defaults of the libraries."""
    Image.core.set_blocks_max(0)  # type: ignore[attr-defined]
    pillow_heif.options.THUMBNAILS = True
    pillow_heif.options.DEPTH_IMAGES = True
    pillow_heif.options.AUX_IMAGES = True


def test_importing_keylike_changes_no_option() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPORT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "0 True True True\nFalse\n"


def test_configuring_image_libraries_twice_sets_warning_filters_once() -> None:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        reset_options()
        for _ in range(2):
            configure_image_libraries()
        assert options() == (2, False, False, False)
        assert len(warnings.filters) == 2
        with pytest.raises(Image.DecompressionBombWarning):
            warnings.warn("bomb", Image.DecompressionBombWarning, stacklevel=1)


def test_create_app_configures_the_libraries(settings: Settings, model: Load) -> None:
    reset_options()
    create_app(settings, load=model)
    assert options() == (2, False, False, False)


def test_zygote_configures_the_libraries_of_its_workers() -> None:
    ours, theirs = socket.socketpair()
    code = f"from keylike.workers.zygote import main; main({theirs.fileno()})"
    with (
        ours,
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, pass_fds=[theirs.fileno()]
        ) as zygote,
    ):
        theirs.close()
        spec = WorkerSpec(load_reporting_reader, partial(open_photo, long_side=2048), 1_000_000)
        send(ours, MessageType.LOAD, pickle.dumps(spec))
        reply = receive(ours, 1_000_000)
        assert reply.kind is MessageType.LOADED
        info: ReaderInfo = pickle.loads(reply.data)
        ours.close()
        zygote.wait(20)
    assert info.name == "(2, False, False, False)"
