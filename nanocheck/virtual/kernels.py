"""Compiled steps without compiling kernels that nobody will execute.

Inductor generates the same Python as on a real card and hands the same kernels to the same
autotuner; only ``ptxas`` is left out. What a real first run allocates while it picks the fastest of
several candidates (an L2-sized buffer that flushes the cache, clones of arguments) happens here too:
those few MiB are the difference between a first run and one that finds its choices in Inductor's
autotune cache (7,428 against 7,364 MiB reserved for GPT-2 124M). A first run is what is reported, so
that cache is off and the result does not depend on what ran before.
"""

from __future__ import annotations

import os
from typing import Any

_OWN_CACHE = "-without-kernels"


class _Launcher:
    """Stands where Inductor puts a compiled kernel: callable, and does nothing."""

    n_regs = 64
    n_spills = 0
    shared = 0
    store_cubin = False
    cache_hash = "nanocheck"

    def __init__(self, config: Any, fn: Any) -> None:
        self.config = config
        self.fn = fn
        self.bin = None

    def __call__(self, *args: Any, stream: Any = None, **kwargs: Any) -> None:
        pass


def _precompile(self: Any, *args: Any, **kwargs: Any) -> None:
    """Instead of ``CachingAutotuner.precompile``: one launcher per candidate configuration.

    Left out with the compiler: Inductor's extra candidate for kernels that use many registers.
    """
    with self.lock:
        if not self.launchers:
            self.launchers = [_Launcher(config, self.fn) for config in self.configs]


def install() -> None:
    """Replace the kernel compiler of this process. Imports Inductor; touches no GPU."""
    from torch._inductor import config
    from torch._inductor.runtime import triton_heuristics

    # Graphs cached here carry no compiled kernels, those of an ordinary process do: never mix them.
    folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    if folder and not folder.endswith(_OWN_CACHE):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder + _OWN_CACHE
    config.autotune_local_cache = False
    config.compile_threads = 1
    triton_heuristics.CachingAutotuner.precompile = _precompile  # type: ignore[method-assign]
