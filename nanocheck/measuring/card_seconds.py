"""Answers a process of ``nanocheck run --clock``: how long its recorded step takes on the card.

The question comes on standard input, the answer leaves on standard output, both JSON (observe/card_clock.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.core.kernels import KernelKind
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate
from nanocheck.tracing.kernel_list import kernels_of_process


def main() -> None:
    """One question, one answer."""
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """``seconds`` of a step on the card alone, since the host's own pass by themselves, and its ``launches``,
    those of micro-batches that were not recorded among them; or ``error``."""
    kernels = kernels_of_process(Path(question["folder"]), question["pid"])
    if kernels is None:
        return {"error": "no step was recorded"}
    seconds = estimate(kernels, msgspec.convert(question["card"], Card)).card_seconds
    # The virtual card counts no copies between it and the host.
    counted = ((each.launches, times) for each, times in kernels if each.kind is not KernelKind.TRANSFER)
    return {"seconds": seconds, "launches": sum(launches * times for launches, times in counted)}
