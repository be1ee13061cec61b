"""Whether anything was compiled or tried out: a step that does has kernels that no later step launches."""

from __future__ import annotations

import sys

from nanocheck.observe import uncompiled_kernels


def state() -> tuple[int, int, int]:
    """Changes with every graph that Dynamo makes, every generated kernel made and its first launch."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    frames = 0 if dynamo is None else sum(dynamo.counters["frames"].values())
    return frames, uncompiled_kernels.made, uncompiled_kernels.tried
