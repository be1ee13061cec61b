"""Number formats: the autocast context, the loss scaler and TF32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from nanocheck.core.config import StepConfig

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def compute_dtype(config: StepConfig) -> torch.dtype:
    """The dtype that matmuls and attention run in."""
    return _AUTOCAST.get(config.dtype, torch.float32)


def allow_tf32(config: StepConfig) -> None:
    """Set the process-wide TF32 switches: off for ``fp32`` only.

    nanoGPT switches TF32 on for every dtype; ``fp32`` here means fp32. The old switches are used on
    purpose, as nanoGPT does: Inductor of torch 2.9 refuses a mixture of old and new ones.
    """
    torch.backends.cuda.matmul.allow_tf32 = config.dtype != "fp32"
    torch.backends.cudnn.allow_tf32 = config.dtype != "fp32"


def autocast(config: StepConfig, device_type: str) -> AbstractContextManager[object]:
    """A context to enter again for every forward, as nanoGPT's ``ctx``.

    None where the weights have 16 bits already, or ``fully_shard`` hands them to the forward in 16 bits:
    autocast would turn every norm's input to fp32 and keep it.
    The loss then adds up in fp32 by itself (``nanocheck.step.loss``).
    """
    casts_itself = config.model == "nanochat-2026" or config.sharding == "fsdp2"
    if config.dtype not in _AUTOCAST or config.weights != "fp32" or casts_itself:
        return nullcontext()
    return torch.autocast(device_type=device_type, dtype=_AUTOCAST[config.dtype])


def grad_scaler(config: StepConfig, device_type: str, **options: Any) -> torch.amp.GradScaler:
    """A scaler that works for ``fp16`` and passes everything through otherwise.

    Args:
        options: of ``torch.amp.GradScaler``, such as ``init_scale``; ``enabled=False`` trains without one.
    """
    return torch.amp.GradScaler(device_type, **{"enabled": config.dtype == "fp16", **options})
