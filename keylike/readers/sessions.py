"""Opens ONNX networks from bytes that were checked: nothing outside of them is read, and a run has an end in time and in memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

# It otherwise tells its maker, from the first import on, of networks, errors and a number that it gives this machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

_ELSEWHERE = "session.model_external_initializers_file_folder_path"
# For what bounded networks compute on the way, all of them together; their weights are bounded by their files.
MAX_BYTES = 4_000_000_000


def open_network(data: bytes, *, bounded: bool = False) -> Any:
    """A session on one thread: photos run beside each other, not inside. Raises whatever onnxruntime does.

    `bounded`: for networks that are not this project's own, which may ask for any amount of memory: beyond MOST_BYTES a run fails.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Weights in other files would be neither listed nor checked. They are looked for below this path, and nothing lies below a file.
    options.add_session_config_entry(_ELSEWHERE, str(Path(__file__).resolve()))
    if bounded:
        _bound_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Not from what is bounded and shared, or they would stay there when the session is let go.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    # What is constant in a network is otherwise computed while it is opened, out of memory that nothing bounds.
    left_out = ["ConstantFolding"] if bounded else []
    return onnxruntime.InferenceSession(
        data, options, providers=["CPUExecutionProvider"], disabled_optimizers=left_out
    )


def run_within(
    session: Any, seconds: float, outputs: Sequence[str], inputs: dict[str, Any]
) -> list[Any]:
    """Runs a bounded session and gives its memory back. Raises TimeoutError for one that is not done in time (it ends with the node that
    is being computed), and whatever onnxruntime does."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    over = threading.Event()

    def end() -> None:
        over.set()
        options.terminate = True

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        answers: list[Any] = session.run(list(outputs), inputs, options)
    except Exception:
        if over.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
    return answers


@cache
def _bound_memory() -> None:
    """Once a process: onnxruntime has one place for memory that sessions share."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    as_asked = 1  # in place of twice as much each time
    arena = onnxruntime.OrtArenaCfg({"max_mem": MAX_BYTES, "arena_extend_strategy": as_asked})
    onnxruntime.create_and_register_allocator(memory, arena)
