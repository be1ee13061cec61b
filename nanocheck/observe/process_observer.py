"""One process under observation: journal, marks, owners, and the end when the answer is known."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from nanocheck.observe import (
    card_clock,
    card_steps,
    direct_backward,
    exit_hooks,
    graph_lines,
    introspect,
    phase_hooks,
    ranks,
    relaunch,
)
from nanocheck.observe.allocator_history import History, card, devices, moment, place, statistics
from nanocheck.observe.covered import Covered
from nanocheck.observe.event_log import SCHEMA, Journal
from nanocheck.observe.loss_flow import LossFlow
from nanocheck.observe.owners import Owners
from nanocheck.observe.recording.host_clock import LoaderTime
from nanocheck.observe.recording.timed_steps import TimedSteps
from nanocheck.observe.steady_state import AnswerKnown, announce, layouts_of_all
from nanocheck.observe.stopping_together import StoppingTogether
from nanocheck.observe.workspaces import cublas_workspaces

_DRAIN_AT = 20_000  # allocations; between optimizer steps the history is left to PyTorch up to here


def quietly(method: Callable[..., None]) -> Callable[..., None]:
    """An error of the observer costs the observation, never the script; the journal tells it."""

    @functools.wraps(method)
    def run(self: Watch, *args: Any) -> None:
        if not self.active:
            return
        try:
            method(self, *args)
        except Exception as error:
            self.active = False
            self.journal.write("broken", error=f"{type(error).__name__}: {error}", where=method.__name__)

    return run


class Watch:
    """Everything is recorded from CUDA's initialisation on."""

    def __init__(self, folder: str) -> None:
        self.journal = Journal(folder)
        self._folder = folder
        self.active = False
        self._snapshot = os.environ.get("NANOCHECK_RUN_SNAPSHOT")
        self._history = History(self.journal, keep=self._snapshot is not None)
        self._owners = Owners()
        self._losses = LossFlow(self.journal, lambda: self.active, self._guard)
        self._covered = Covered.asked()
        self._stopping = StoppingTogether(Path(folder))
        self._stepped = False  # an optimizer stepped since the last backward began
        self._looked = False  # the models were looked for
        self._answered = False
        self._workspaces_due = False  # the answer was closed without asking which blocks they are
        self._loader = LoaderTime() if os.environ.get("NANOCHECK_RUN_TIME") else None
        self._clock: card_clock.CardClock | None = None
        self._warm = card_clock.Warm()
        #: Once the answer is known, where its time is asked for.
        self._timed: TimedSteps | card_steps.CardSteps | None = None

    def start(self) -> None:
        """Hooks into the torch that was just imported; CUDA is not initialised by it."""
        exit_hooks.say_that_torch_is_here()
        exit_hooks.remember_fraction()
        torch.cuda._lazy_call(self._begin)  # type: ignore[no-untyped-call]
        exit_hooks.write_stacks_on_signal()
        direct_backward.install()
        self._losses.install()
        phase_hooks.install(self._mark, self._optimizer)
        self._covered.install()
        graph_lines.install(self.journal)
        if self._loader is not None:
            self._loader.install()
        if introspect.version() is not None:
            from nanocheck.observe import placeholder_values

            placeholder_values.install()

    def _begin(self) -> None:
        """CUDA is there, nothing is allocated yet."""
        self.active = True
        self._begun()
        exit_hooks.install(self._end)
        atexit.register(self._leave)
        os.register_at_fork(after_in_child=self._forked)

    @quietly
    def _begun(self) -> None:
        exit_hooks.cap_memory()
        self._history.start()
        torch._C._cuda_attach_out_of_memory_observer(self._oom)  # type: ignore[attr-defined]
        self.journal.write(
            "start",
            schema=SCHEMA,
            pid=os.getpid(),
            rank=ranks.own_rank(),
            world=ranks.world(),
            card=ranks.own_card(),
            clock=time.monotonic(),
            parent=os.getppid(),
            command=getattr(sys, "orig_argv", sys.argv),
            folder=os.getcwd(),  # noqa: PTH109 - the journal is JSON
            virtual=introspect.version(),
            torch=torch.__version__,
            cuda=torch.version.cuda,
            python=sys.version.split()[0],
            device=torch.cuda.get_device_name(),
            arches=torch.cuda.get_arch_list(),
            allocator=torch.cuda.get_allocator_backend(),
            libraries=phase_hooks.LIBRARIES,
            settings=self._history.blocks()[1],
        )

    @quietly
    def _guard(self, function: Callable[..., None], *args: Any) -> None:
        function(*args)

    def _forked(self) -> None:
        self.active = False  # CUDA cannot be used in a fork of a process that has used it
        if isinstance(self._timed, TimedSteps):
            with contextlib.suppress(Exception):
                self._timed.forked()
        self._timed = None  # a DataLoader's worker must not end what its parent times
        self._clock = None

    def _mark(self, what: str) -> None:
        if self._clock is not None:
            self._mark_clocked(self._clock, what)
            return
        if self._timed is not None:
            self._mark_timed(self._timed, what)
            return
        if what == "backward+" and self._stepped and self.active:
            self._stepped = False
            self._warm.step_ended()
            if self._step_ended():
                raise AnswerKnown
        self._covered.mark(what)
        self._write_mark(what)

    def _mark_timed(self, timed: TimedSteps | card_steps.CardSteps, what: str) -> None:
        """Memory is known: whatever fails from here on ends the observation, never the script."""
        done = False
        try:
            if what == "backward+" and self._stepped:
                self._stepped = False
                self._warm.step_ended()
                done = timed.step_ended()
            self._stepped |= what == "optimizer-"
            timed.mark(what)
        except Exception as error:
            self.journal.write("broken_timing", error=f"{type(error).__name__}: {error}")
            done = True
        if done:
            self._leave_timing()
            self._start_clock(timed)
            if self._clock is None:
                raise AnswerKnown

    def _leave_timing(self) -> None:
        """All that is asked about is known, or the script ends before."""
        timed, self._timed = self._timed, None
        if timed is not None:
            with contextlib.suppress(Exception):
                timed.close()
            kind = "card_steps" if isinstance(timed, card_steps.CardSteps) else "host_time"
            self.journal.write(kind, **timed.entry())
            if not os.environ.get(card_clock.STEPS):
                self._tell_workspaces()
                announce(self._folder, os.getpid())

    def _start_clock(self, timed: TimedSteps | card_steps.CardSteps) -> None:
        """Where that was asked for, and a step was recorded."""
        if not timed.recorded:
            return
        try:
            self._clock, why = card_clock.start(self._folder, timed.launches, self._warm)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        if why:
            self.journal.write("broken_timing", error=why)

    def _mark_clocked(self, clock: card_clock.CardClock, what: str) -> None:
        if what == "backward+" and self._stepped:
            self._stepped = False
            if clock.step_ended():
                self._tell_workspaces()
                announce(self._folder, os.getpid())
                raise AnswerKnown
        self._stepped |= what == "optimizer-"

    def _optimizer(self, optimizer: torch.optim.Optimizer, what: str) -> None:
        if what == "made":
            with contextlib.suppress(Exception):  # also before CUDA is there
                self._covered.optimizer_made(optimizer, phase_hooks.script_frame(sys._getframe(1)))
            return
        if self._clock is not None:
            self._mark_clocked(self._clock, f"optimizer{what}")
            return
        if self._timed is not None:
            self._mark_timed(self._timed, f"optimizer{what}")
            return
        self._write_mark(f"optimizer{what}")
        self._after_optimizer(optimizer, what)

    @quietly
    def _write_mark(self, what: str) -> None:
        where = phase_hooks.script_frame(sys._getframe(2)) if what.endswith("+") else None
        self.journal.write("mark", what=what, where=where, **moment())
        if threading.current_thread() is threading.main_thread() and (
            not what.startswith(("backward", "optimizer")) or self._history.pending() > _DRAIN_AT
        ):
            self._history.drain()

    @quietly
    def _after_optimizer(self, optimizer: torch.optim.Optimizer, what: str) -> None:
        self._owners.add(optimizer)
        if what == "-":
            self._stepped = True
            self._covered.optimizer_stepped(optimizer)
        # State appears in the first step, gradients are there before each; models are found once.
        if not self._looked:
            self._owners.look()
            self._looked = True
        # Names and shapes twice are enough; addresses every time, since state and gradients can move.
        self._tell_owners(brief=self._covered.done >= 2)

    def _step_ended(self) -> bool:
        known = False

        @quietly
        def decide(_: Watch) -> None:
            nonlocal known
            now, each = moment(), [statistics(device) for device in devices()]
            layout = layouts_of_all(self._history.drain(), [one["retries"] for one in each])
            peak = tuple(one[name] for one in each for name in ("allocated_peak", "reserved_peak"))
            held = sum(one["held"] for one in each)
            known = self._together(self._covered.step_ended(peak, held, layout))
            self.journal.write("step", done=self._covered.done, **now)
            self.journal.write("coverage", **self._covered.entry())
            if known:
                self._workspaces_due = self._loader is not None
                self._end("answered")
                self._answered = True
                if self._loader is None:
                    announce(self._folder, os.getpid())
                else:
                    known = False
                    self._history.stop()
                    if os.environ.get("NANOCHECK_RUN_TIME") == relaunch.ON_CARD:
                        self._timed = card_steps.CardSteps()
                        return
                    facts = {"parameters": self._owners.parameters()}
                    self._timed = TimedSteps(self._folder, loader=self._loader, facts=facts)

        decide(self)
        return known

    def _together(self, known: bool) -> bool:
        own, running = ranks.own_rank(), ranks.running()
        if own is None:
            return known
        return self._stopping.may_stop(self._covered.done, known=known, own=own, ranks=running)

    def _leave(self) -> None:
        if self._answered:
            self._leave_timing()
            self._tell_workspaces()
            exit_hooks.leave_objects_alone()

    def _tell_workspaces(self) -> None:
        """Once no further step is of interest: asking lets go of them, and the next step would make others
        elsewhere, which can raise the script's own peak."""
        if self._workspaces_due:
            self._workspaces_due = False
            with contextlib.suppress(Exception):
                self.journal.write("workspaces", addresses=list(cublas_workspaces()))

    def _tell_owners(self, *, brief: bool = False) -> None:
        kinds = self._owners.addresses()
        if brief:
            kinds = {kind: [[each[0], 0, "", []] for each in tensors] for kind, tensors in kinds.items()}
        self.journal.write("owners", kinds=kinds, **place())

    def _oom(self, device: int, size: int, total: int, free: int) -> None:
        self._tell_oom(size, free, device)

    @quietly
    def _tell_oom(self, size: int, free: int, device: int) -> None:
        """Called by the allocator, in whatever thread asked for memory."""
        self._covered.out_of_memory()
        main = sys._current_frames().get(threading.main_thread().ident or 0)
        try:
            where, tensors = phase_hooks.script_frame(main), phase_hooks.tensors_of(main)
            self._losses.at_failure(main)
        finally:
            # It is our own frame: kept in a variable of ours it would be a cycle, which holds the tensors of
            # every frame below until the collector runs, and whoever retries with less finds the card full.
            del main
        self._owners.look()
        self._tell_owners()
        self.journal.write(
            "oom",
            requested=size,
            free=free,
            limit=exit_hooks.own_limit(),
            where=where,
            tensors=tensors,
            **card(device),
        )
        self._history.drain()

    def _end(
        self,
        how: str,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
        code: int | None = None,
    ) -> None:
        """The last words of this process; only the first call counts, except that an error adds itself."""
        if self._answered:
            self._leave_timing()
        frame = exit_hooks.innermost(trace)
        refused = introspect.nccl_refused()
        if refused is not None:
            self._tell_refused(refused, frame)
        if error is not None and not isinstance(error, SystemExit):
            of_nccl = refused is not None and type(error).__name__ == "DistBackendError"
            self.journal.write(
                "failed",
                error=f"{type(error).__name__}: {str(error)[:4000]}",
                oom=isinstance(error, torch.OutOfMemoryError) or of_nccl,
                after_oom=exit_hooks.led_to(error, torch.OutOfMemoryError),
                where=frame,
            )
        self._close(how, code)

    @quietly
    def _tell_refused(self, refused: tuple[int, int, int], frame: Any) -> None:
        """NCCL found no room for its own buffers, of which PyTorch's allocator knows nothing."""
        number, requested, free = refused
        self.journal.write("oom", requested=requested, free=free, by="NCCL", where=frame, card=number)

    @quietly
    def _close(self, how: str, code: int | None = None) -> None:
        self._history.drain()
        if self._stepped:  # a step is known to be over when the next begins, and the last one has no next
            self.journal.write("step", done=self._covered.done + 1, **moment())
        self.journal.write("coverage", **self._covered.entry(how=how, unended=self._stepped))
        if not self._looked or how != "answered":
            self._owners.look()
        self._tell_owners()
        if self._snapshot is not None:
            exit_hooks.write_snapshot(self._snapshot)
        blocks, settings = self._history.blocks()
        self.journal.write(
            "end",
            how=how,
            code=code,
            rank=ranks.own_rank(),
            world=ranks.world(),
            clock=time.monotonic(),
            limit=exit_hooks.own_limit(),
            blocks=blocks,
            settings=settings,
            workspaces=[] if self._workspaces_due else list(cublas_workspaces()),
            virtual=exit_hooks.virtual_facts(),
            **{**moment(), "card": ranks.own_card()},
        )
        self.active = False
