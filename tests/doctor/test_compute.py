"""Tests of the checks of PyTorch and of GPUs of every kind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from keylike.doctor import compute
from keylike.doctor.compute import CudaDevice, Torch
from keylike.doctor.finding import State
from keylike.observability.gpu import Gpu

OK, NOTE, WARN, FAULT = State
CPU = Torch("2.13.0+cpu", None, None, False)
CUDA = Torch("2.13.0", "13.0", None, False)
H200 = CudaDevice("NVIDIA H200", 140_000_000_000, 150_000_000_000, True)
NO_GPU, AN_NVIDIA = Gpu(False, 0), Gpu(True, 143_771)


@pytest.mark.parametrize(
    ("torch", "nvidia", "state", "words"),
    [
        (None, NO_GPU, NOTE, "without PyTorch"),
        (CPU, NO_GPU, NOTE, "none found"),
        (CPU, AN_NVIDIA, WARN, "but PyTorch's CPU build"),
        (CUDA, AN_NVIDIA, WARN, "PyTorch cannot use"),
        (CUDA, NO_GPU, NOTE, "none found"),
        (Torch("2.13.0", None, None, True), NO_GPU, OK, "Apple"),
        (
            Torch("2.13.0", "13.0", H200, False),
            AN_NVIDIA,
            OK,
            "NVIDIA H200, 140.0 GB of 150.0 GB free, bf16",
        ),
        (
            Torch("2.13.0", "13.0", CudaDevice("Tesla T4", 1, 2, False), False),
            AN_NVIDIA,
            NOTE,
            "no bf16",
        ),
    ],
)
def test_gpu_check_reports_each_kind_of_gpu(
    torch: Torch | None, nvidia: Gpu, state: State, words: str
) -> None:
    found = compute.graphics(torch, nvidia)
    assert found.state is state and words in found.saw
    assert bool(found.advice) is (state is not OK)


def test_pytorch_check_reports_version_and_build() -> None:
    assert compute.pytorch(None, broken=False, wanted=False).state is NOTE
    assert compute.pytorch(None, broken=True, wanted=True).state is FAULT
    assert (
        compute.pytorch(CPU, broken=False, wanted=True).saw == "2.13.0+cpu, built for the processor"
    )
    assert "CUDA 13.0" in compute.pytorch(CUDA, broken=False, wanted=True).saw


def test_find_torch_raises_import_error_if_pytorch_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text(
        "raise OSError('libcudart.so: cannot open shared object file')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(ImportError, match="libcudart"):
        compute.find_torch()


@pytest.mark.gemma
def test_find_torch_describes_the_installed_pytorch() -> None:
    torch = pytest.importorskip("torch")
    found = compute.find_torch()
    assert found is not None and found.version == torch.__version__
    assert (found.device is not None) is torch.cuda.is_available()


@pytest.mark.parametrize(
    ("present", "device", "backend", "state"),
    [
        ((), False, "auto", NOTE),
        ((), True, "auto", WARN),
        (("bitsandbytes",), True, "auto", NOTE),
        (("bitsandbytes", "unsloth"), True, "unsloth", OK),
        (("bitsandbytes", "unsloth"), False, "unsloth", FAULT),
        (("bitsandbytes",), True, "unsloth", FAULT),
    ],
)
def test_gpu_library_check_reports_missing_libraries(
    present: tuple[str, ...], device: bool, backend: str, state: State
) -> None:
    assert (
        compute.gpu_libraries(present, device=device, backend=backend, wanted=True).state is state
    )
