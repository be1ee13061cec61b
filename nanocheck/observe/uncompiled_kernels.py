"""Compiled steps without compiling kernels that nobody will execute.

Inductor generates the same Python as on a real card and hands the same kernels to the same
autotuner; only ``ptxas`` is left out. What a real first run allocates while it picks the fastest of
several candidates (an L2-sized buffer that flushes the cache, clones of arguments) happens here too:
those few MiB are the difference between a first run and one that finds its choices in Inductor's
autotune cache (7,428 against 7,364 MiB reserved for GPT-2 124M). A first run is what is reported, so
that cache is off and the result does not depend on what ran before.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from nanocheck.observe import introspect

_OWN_CACHE = "-without-kernels"
#: The module that ``install`` changes.
MODULE = "torch._inductor.runtime.triton_heuristics"
#: Called with the kernel's name, its arguments' names and the arguments, while a step is recorded.
recording: Callable[[str, Sequence[str], Sequence[Any]], None] | None = None
#: Called at each launch, and with 1 and -1 around the trying of candidates, while the card's clock runs.
launched: Callable[[], None] | None = None
standing: Callable[[int], object] | None = None
#: Launchers that were made, and those that were called: neither moves once nothing compiles any more.
made = tried = 0


class _Kernel:
    """What Inductor asks of a compiled kernel before it decides what else to try.

    The number of registers is what csrc/answers/modules.c says of any kernel. Above 65536 / threads per SM
    (42 on most cards, 32 on others) Inductor adds a candidate with a smaller reduction block, so every
    kernel that may get one gets one; on a real card, those that need few registers do not.
    """

    n_regs = 64
    n_spills = 0
    shared = 0
    hash = "nanocheck"


class _Launcher(_Kernel):
    """Stands where Inductor puts a compiled kernel: callable, and computes nothing.

    It only makes known what the kernel would have overwritten: every tensor but those that Inductor names
    as inputs.
    """

    store_cubin = False
    cache_hash = "nanocheck"

    def __init__(self, config: Any, names: Sequence[str], name: str) -> None:
        global made
        made += 1
        self.config = config
        self._names = names
        self._name = name
        self._written = [index for index, name in enumerate(names) if not name.startswith("in_ptr")]
        self._called = False

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        if not self._called:
            global tried
            tried += 1
            self._called = True
        if recording is not None:
            recording(self._name, self._names, args)
        if launched is not None:
            launched()
        for index in self._written:
            if index < len(args) and hasattr(args[index], "data_ptr"):
                introspect.wrote(args[index].data_ptr())


class _Uncompiled:
    """Instead of Inductor's ``TritonCompileResult``."""

    kernel = _Kernel()

    def __init__(self, config: Any, names: Sequence[str], name: str) -> None:
        self.config = config
        self._names = names
        self._name = name

    def make_launcher(self) -> _Launcher:
        return _Launcher(self.config, self._names, self._name)


def _precompile_config(self: Any, config: Any) -> _Uncompiled:
    """Instead of ``CachingAutotuner._precompile_config``, the one place where a candidate is compiled."""
    return _Uncompiled(config, self.fn.arg_names, str(getattr(self.fn, "__name__", "triton")))


def _precompile_pair(self: Any, config: Any, warm_cache_only: bool) -> tuple[_Kernel, _Launcher]:
    """The same before torch 2.7, where a kernel and its launcher are asked for at once."""
    result = _precompile_config(self, config)
    return result.kernel, result.make_launcher()


def _while_standing(try_candidates: Callable[..., Any]) -> Callable[..., Any]:
    """All candidates must take equally long, or the choice, and with it memory, would hang on a clock."""

    @functools.wraps(try_candidates)
    def tried_all(*args: Any, **kwargs: Any) -> Any:
        stand = standing
        if stand is not None:
            stand(1)
        try:
            return try_candidates(*args, **kwargs)
        finally:
            if stand is not None:
                stand(-1)

    return tried_all


def use_own_cache() -> None:
    """Choose the folder for what is compiled without kernels; before Inductor reads its own."""
    # Graphs cached here carry no compiled kernels, those of an ordinary process do: never mix them.
    folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    if folder and not folder.endswith(_OWN_CACHE):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder + _OWN_CACHE


def install() -> None:
    """Replace the kernel compiler of this process. Imports Inductor; touches no GPU."""
    from torch._inductor import config
    from torch._inductor.runtime import triton_heuristics

    use_own_cache()
    config.autotune_local_cache = False
    config.compile_threads = 1
    with contextlib.suppress(ImportError):  # since torch 2.7
        from torch._inductor.runtime import triton_compat

        # It names caches by a hash over half a gigabyte of Triton, which compiles nothing here.
        triton_compat.triton_key = lambda: sys.modules["triton"].__version__
    autotuner: Any = triton_heuristics.CachingAutotuner
    pair = "warm_cache_only" in inspect.signature(autotuner._precompile_config).parameters
    autotuner.benchmark_all_configs = _while_standing(autotuner.benchmark_all_configs)
    autotuner._precompile_config = _precompile_pair if pair else _precompile_config
