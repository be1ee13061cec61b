"""What only the process with PyTorch in it can tell about operators."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

#: Kernels under these keys run on the card: an operator without one is made of others.
_KEYS = ("CUDA", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional", "NestedTensorCUDA")
_HEADER = "include/ATen/native/cuda/MultiTensorApply.cuh"
_ARRAY = re.compile(r"depth_to_max_(tensors|blocks|tensors_scalarlist)\[5\]\s*=\s*\{([\d,\s]+)\}")
_CHUNK = re.compile(r"kChunkSize\s*=\s*(\d+)")


def operators_of_the_card() -> list[str]:
    """Names (``aten::mm.out``) with a kernel of their own."""
    found: set[str] = set()
    for key in _KEYS:
        found.update(torch._C._dispatch_get_registrations_for_dispatch_key(key))
    return sorted(each for each in found if not each.startswith("_"))


def rounds_to_tf32() -> bool:
    """Whether products of fp32 matrices are rounded to TF32."""
    matmul = torch.backends.cuda.matmul
    said = getattr(matmul, "fp32_precision", None)  # since torch 2.9; it must not be mixed with the other
    return bool(matmul.allow_tf32) if said is None else said == "tf32"


def multi_tensor() -> dict[str, Any]:
    """How many tensors and chunks one launch over a list of tensors takes, by the number of lists.

    Read from the header that PyTorch was compiled with, which lies in its wheel: since CUDA 13 a launch takes
    32 KiB of arguments, and seven times as many tensors. {} where there is no header.
    """
    try:
        text = (Path(torch.__file__).parent / _HEADER).read_text()
    except OSError:
        return {}
    large = int((torch.version.cuda or "0").split(".")[0]) >= 13
    found: dict[str, Any] = {}
    for name, numbers in _ARRAY.findall(text):
        values = [int(each) for each in numbers.split(",")]
        # Where there are two, those for CUDA 13 stand first.
        if name not in found or not large:
            found[name] = values
    chunk = _CHUNK.search(text)
    return {**found, "chunk": int(chunk.group(1))} if chunk else {}
