"""Shorter waits for a cold ``torch.compile`` in somebody else's script; every allocation stays.

Two things take long and decide nothing. Python's garbage collector walks millions of objects of PyTorch and
its compiler again and again: it rests while they are imported and at work, and then collects once. And
AOTAutograd compiles the forward, later the backward, on one core: a fork compiles the backward meanwhile and
leaves it in Inductor's own cache, where this process finds it. If the fork fails, or guessed the strides of
the saved activations wrongly (it cannot know what the forward will choose), the cache has no such graph and
all is as without it. ``benchmarks/observation.py compiled`` measures the wait.

Garbage that holds GPU memory goes when the collector happens to run, and that hangs on every object that was
ever made, on a real card, too.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from nanocheck.process import linux_process

#: The modules to wait for before ``rest_the_collector`` and ``compile_backward_ahead``.
CALLBACKS = "torch._dynamo.callback"
GRAPHS = "torch._functorch._aot_autograd.graph_compile"

_MANY = 50_000  # new objects, after which a collector that was awake would have looked at all of them
_IDLE_S = 20.0  # a fork can inherit a lock that nobody will open


def rest_the_collector() -> None:
    """No garbage collection inside the compiler; the script's own choice holds outside."""
    from torch._dynamo.callback import on_compile_end, on_compile_start

    rest = contextlib.ExitStack()
    on_compile_start(lambda *_: rest.enter_context(collector_at_rest()))
    on_compile_end(lambda *_: rest.close())


@contextlib.contextmanager
def collector_at_rest() -> Iterator[None]:
    """Collect nothing in here and, after many new objects, everything at the end: as it would have been."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        if gc.get_count()[0] > _MANY:
            gc.collect()


def compile_backward_ahead() -> None:
    """Let a fork compile each backward while this process compiles its forward.

    Nothing changes on one core, or where AOTAutograd has not the three functions between which this stands
    (before torch 2.11).
    """
    from torch._dynamo.callback import on_compile_start

    module = sys.modules[GRAPHS]
    names = ("aot_stage2_autograd", "_aot_stage2b_fw_compile", "_aot_stage2b_bw_compile")
    functions = [getattr(module, name, None) for name in names]
    if None in functions or len(os.sched_getaffinity(0)) < 2:
        return
    ahead = _Ahead(*functions)  # type: ignore[arg-type]
    on_compile_start(ahead.wait)  # a backward that is compiled when it is first run
    module.aot_stage2_autograd = ahead.both  # type: ignore[attr-defined]
    module._aot_stage2b_fw_compile = ahead.forward  # type: ignore[attr-defined]
    module._aot_stage2b_bw_compile = ahead.backward  # type: ignore[attr-defined]


class _Ahead:
    """The three functions of AOTAutograd, and the fork between them."""

    def __init__(
        self, both: Callable[..., Any], forward: Callable[..., Any], backward: Callable[..., Any]
    ) -> None:
        self._both, self._forward, self._backward = both, forward, backward
        self._fork: int | None = None  # the fork's process number until it is waited for; 0 inside it

    def both(self, *args: Any, **kwargs: Any) -> Any:
        """Forward and backward of one graph. The fork never leaves this function: beyond is the script."""
        try:
            return self._both(*args, **kwargs)
        finally:
            if self._fork == 0:
                os._exit(1)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if _decides_while_compiling():
            return self._forward(*args, **kwargs)
        self.wait()
        self._fork = _fork()
        if self._fork == 0:
            _tell_what_is_saved(*args, *kwargs.values())
            return None, None  # "no strides are known", and a forward that nobody will call
        return self._forward(*args, **kwargs)

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        if self._fork == 0:
            config = next(each for each in (*args, *kwargs.values()) if type(each).__name__ == "AOTConfig")
            object.__setattr__(config, "force_non_lazy_backward_lowering", True)
            self._backward(*args, **kwargs)
            os._exit(0)
        if any(type(each) is int and each > 0 for each in (*args, *kwargs.values())):
            self.wait()  # sizes that vary among what is saved: the backward is compiled here and now
        return self._backward(*args, **kwargs)

    def wait(self, *_: Any) -> None:
        """Until the fork is done, or has not moved for a while."""
        if not self._fork:
            return
        pid, self._fork = self._fork, None
        spent, since = -1.0, time.monotonic()
        with contextlib.suppress(ChildProcessError, ProcessLookupError):  # the script waits for any child
            while os.waitpid(pid, os.WNOHANG)[0] == 0:
                before, spent = spent, linux_process.cpu_seconds(pid)
                if spent != before:
                    since = time.monotonic()
                elif time.monotonic() - since > _IDLE_S:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    return
                time.sleep(0.02)


def _tell_what_is_saved(*arguments: Any) -> None:
    """What the forward tells the compiler on its way: which saved activations the backward may overwrite.

    Inductor's cache does not tell a backward that knows from one that does not, and only the first is right.

    Raises:
        StopIteration: AOTAutograd calls it otherwise now; then nothing must be compiled ahead.
    """
    from torch._guards import TracingContext

    context = TracingContext.try_get()
    if context is not None:
        metadata = next(each for each in arguments if type(each).__name__ == "ViewAndMutationMeta")
        inner = [each for each in arguments if type(each).__name__ == "SubclassMeta"]
        context.fw_metadata = inner[0].fw_metadata if inner else metadata


def _decides_while_compiling() -> bool:
    """Whether the compiler tries kernels on the GPU: what it allocates for that must happen here."""
    from torch._inductor import config

    return bool(config.max_autotune or config.max_autotune_gemm or config.force_disable_caches) or not bool(
        config.fx_graph_cache
    )


def _fork() -> int | None:
    """``os.fork``, silent and mortal on the other side; ``None`` where it fails."""
    import torch

    parent = os.getpid()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of threads; the limit below is for them
            pid = os.fork()
    except OSError:
        return None
    if pid == 0:
        linux_process.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        # PyTorch forbids CUDA after a fork, since a real driver would not survive it; this one does.
        torch.cuda._is_in_bad_fork = lambda: False
    return pid
