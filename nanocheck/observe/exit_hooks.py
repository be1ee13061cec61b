"""The ways a process ends, and the last things that can be asked of it."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import functools
import gc
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

import torch

from nanocheck.observe import introspect, phase_hooks
from nanocheck.observe.allocator_history import memory_snapshot


def install(end: Callable[..., None]) -> None:
    """Call ``end(how, error, traceback, code)`` when the process ends by itself, an error or ``os._exit``.

    An error that ``multiprocessing``, or who leaves by ``os._exit``, passes on by an exit code alone counts:
    no ``sys.excepthook`` hears of it.
    """
    atexit.register(end, "finished")
    hook, leave, ours = sys.excepthook, os._exit, os.getpid()

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if os.getpid() == ours:  # a fork of ours fails for itself
            end("failed", error, trace)
        hook(kind, error, without_our_frames(error, trace))

    def passed_on(status: int | None = None) -> None:
        error, code = _left_by(sys.exc_info()[1], status)
        if os.getpid() != ours:
            return
        if error is not None:
            end("failed", error, error.__traceback__, code)
        elif code is not None:
            end("finished", code=code)

    def _exit(status: int) -> Any:
        passed_on(status)
        leave(status)

    sys.excepthook = excepthook
    os._exit = _exit
    _before_a_child_leaves(passed_on)


def _left_by(error: BaseException | None, status: int | None) -> tuple[BaseException | None, int | None]:
    """The error for which a process leaves, and its exit code; each ``None`` where that is not known.

    Args:
        error: that is being handled. status: it leaves with it, where that was said.
    """
    if isinstance(error, SystemExit):
        said = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
        error, status = error.__context__, said if status is None else status
    elif error is not None and status is None:
        status = 1
    return (error if status else None), status


def _before_a_child_leaves(passed_on: Callable[[], None]) -> None:
    """A child of ``multiprocessing`` runs its finalizers while its error is being handled."""
    if "multiprocessing.process" in sys.modules:
        from multiprocessing.process import parent_process
        from multiprocessing.util import Finalize

        if parent_process() is not None:
            Finalize(None, passed_on, exitpriority=0)


def led_to(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether one of a kind is among the errors of which this one came."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, kind):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def leave_objects_alone() -> None:
    """Before the interpreter ends, which else looks at every object of PyTorch several times more.

    Not where Triton is built with nanobind (3.9, of torch 2.15): it prints what was not collected.
    """
    if not _is_nanobind(sys.modules.get("triton._C.libtriton")):
        gc.freeze()


def _is_nanobind(triton: Any) -> bool:
    location = getattr(getattr(triton, "ir", None), "location", None)
    return type(location).__module__ == "nanobind"


#: Functions of ours that stand between the script and PyTorch in every call of a module.
OURS: set[CodeType] = set()


def without_our_frames(error: BaseException | None, trace: TracebackType | None) -> TracebackType | None:
    """The traceback that the script would have by itself, of the errors before it, too."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if error.__traceback__ is not trace:
            error.__traceback__ = _without_our_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    return _without_our_frames(trace)


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code in OURS:
        trace = trace.tb_next
    each = trace
    while each is not None:
        while each.tb_next is not None and each.tb_next.tb_frame.f_code in OURS:
            each.tb_next = each.tb_next.tb_next
        each = each.tb_next
    return trace


def say_that_torch_is_here() -> None:
    """A file ``torch-<pid>``: this process may yet use the card; in the end, which cards it left itself."""
    path = Path(os.environ["NANOCHECK_RUN"]) / f"torch-{os.getpid()}"

    def leave() -> None:
        with contextlib.suppress(OSError):
            path.write_text("=" + os.environ.get("CUDA_VISIBLE_DEVICES", "0"))

    with contextlib.suppress(OSError):
        path.touch()
        atexit.register(leave)


def cap_memory() -> None:
    """On a larger real card that stands in for the asked one: allow PyTorch what the asked one would."""
    allowed = os.environ.get("NANOCHECK_RUN_MEMORY_BYTES")
    if allowed:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, int(allowed) / total))


_fraction = 1.0  # where PyTorch does not tell it: what was set last


def remember_fraction() -> None:
    """Before torch 2.8 a limit of the allocator can be set, but not asked for."""
    if hasattr(torch.cuda, "get_per_process_memory_fraction"):
        return
    original = torch.cuda.memory.set_per_process_memory_fraction

    @functools.wraps(original)
    def remembering(fraction: float, *args: Any, **kwargs: Any) -> None:
        global _fraction
        original(fraction, *args, **kwargs)
        _fraction = fraction

    torch.cuda.memory.set_per_process_memory_fraction = remembering
    torch.cuda.set_per_process_memory_fraction = remembering


def own_limit() -> int | None:
    """Bytes that the script itself lets PyTorch reserve (``set_per_process_memory_fraction``), where that is
    less than we do; ``None`` without a limit of its own.
    """
    total = torch.cuda.get_device_properties(0).total_memory
    ask = getattr(torch.cuda, "get_per_process_memory_fraction", lambda: _fraction)
    allowed = int(ask() * total)
    ours = int(os.environ.get("NANOCHECK_RUN_MEMORY_BYTES") or total)
    return allowed if allowed < min(ours, total) - 1 else None  # a fraction is rounded


def write_stacks_on_signal() -> None:
    """When the parent's time limit is over it sends a signal: then write where every thread is."""
    number = int(os.environ.get("NANOCHECK_RUN_STACK_SIGNAL", "0"))
    if number:
        path = Path(os.environ["NANOCHECK_RUN"]) / f"stack-{os.getpid()}.txt"
        faulthandler.register(number, file=path.open("w"), all_threads=True)


def innermost(trace: TracebackType | None) -> tuple[str, int, str] | None:
    """The innermost frame of a traceback that is not a library's."""
    frames = []
    while trace is not None:
        frames.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    for frame, line in reversed(frames):
        found = phase_hooks.script_frame(frame)
        if found is not None and found[0] == frame.f_code.co_filename:
            return found[0], line, found[2]
    return None


def virtual_facts() -> dict[str, Any]:
    """What only the virtual GPU knows; {} on a real one."""
    if introspect.version() is None:
        return {}
    from nanocheck.observe import placeholder_values

    sizes = placeholder_values.unknown_sizes()
    decided = (
        {}
        if sizes is None
        else {
            "sizes": sizes.policy,
            "unknown_sizes": sizes.decided,
            "unbounded_sizes": sizes.unbounded,
            "first_unknown_size": sizes.first_place,
        }
    )
    return {
        "attention": introspect.attention_backend(),
        **introspect.counters(),
        "guessed": introspect.guessed_sizes(),
        "communicators": {str(card): found for card, found in introspect.communicators().items()},
        "nccl": {name: value for name, value in os.environ.items() if name.startswith("NCCL_")},
        "placeholders": placeholder_values.placeholders(),
        "first_placeholder": placeholder_values.first_place(),
        "placeholder_sizes": placeholder_values.placeholder_sizes(),
        "peak_used": introspect.peak_used_bytes(),
        "cards": {str(card): peak for card, peak in introspect.card_peaks().items()},
        **decided,
    }


def write_snapshot(path: str) -> None:
    """PyTorch's own format, for https://pytorch.org/memory_viz; one file for each process."""
    target = Path(path)
    if target.exists():
        target = target.with_name(f"{target.stem}-{os.getpid()}{target.suffix}")
    with target.open("wb") as file:
        pickle.dump(memory_snapshot(), file)
