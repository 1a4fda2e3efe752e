"""Open ONNX sessions from checked bytes, and limit their run time and memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

# Without this, onnxruntime would report networks, errors and a machine identifier to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

_EXTERNAL_DATA_KEY = "session.model_external_initializers_file_folder_path"
# Memory limit in bytes for the intermediate results of all bounded sessions together. The memory
# of the weights is limited by the sizes of the files.
MAX_BYTES = 4_000_000_000


def open_network(data: bytes, *, bounded: bool = False) -> Any:
    """Open a session that uses one thread.

    Several photos can be processed in parallel, but one photo uses one core only.

    Args:
        data: Content of the ONNX file.
        bounded: True for a network of unknown origin: the memory of its runs is limited by
            MAX_BYTES.

    Raises:
        Exception: Whatever onnxruntime raises.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Weights in other files would not have been checked. onnxruntime searches them in this folder,
    # but the path is that of a file, so it cannot find any.
    options.add_session_config_entry(_EXTERNAL_DATA_KEY, str(Path(__file__).resolve()))
    if bounded:
        _bound_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Keep the weights out of the shared arena, where they would not be freed with the session.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    # Constant folding computes while the network is opened, without the memory limit.
    disabled = ["ConstantFolding"] if bounded else []
    return onnxruntime.InferenceSession(
        data, options, providers=["CPUExecutionProvider"], disabled_optimizers=disabled
    )


def run_within(
    session: Any, seconds: float, outputs: Sequence[str], inputs: dict[str, Any]
) -> list[Any]:
    """Run a bounded session and release its memory.

    A run that takes too long is stopped when the current operator has finished.

    Raises:
        TimeoutError: The run exceeded `seconds`.
        Exception: Whatever onnxruntime raises.
    """
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    timed_out = threading.Event()

    def terminate() -> None:
        timed_out.set()
        options.terminate = True

    timer = threading.Timer(seconds, terminate)
    timer.daemon = True
    timer.start()
    try:
        results: list[Any] = session.run(list(outputs), inputs, options)
    except Exception:
        if timed_out.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
    return results


@cache
def _bound_memory() -> None:
    """Create the memory arena that all bounded sessions share, once per process."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    same_as_requested = 1  # default: double the arena each time
    arena = onnxruntime.OrtArenaCfg(
        {"max_mem": MAX_BYTES, "arena_extend_strategy": same_as_requested}
    )
    onnxruntime.create_and_register_allocator(memory, arena)
