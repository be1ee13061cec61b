"""``--gpu all``, or several cards: the same command on each of them, one run each.

With ``--time`` a step's kernels are recorded once for each compute capability, which is what the choice of
attention's kernels hangs on, and the model answers for all cards of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial

import msgspec

from nanocheck import __version__
from nanocheck.core.diff_side import held_at_peak
from nanocheck.core.errors import NanocheckError
from nanocheck.core.gpus import Gpu, find_gpus
from nanocheck.core.result import Outcome, Provenance
from nanocheck.core.stacks import StackHolding
from nanocheck.core.torch_builds import NO_KERNELS
from nanocheck.core.verdict import JudgedRun, Kind, Verdict
from nanocheck.measuring.background_run import BackgroundRuns, Variation
from nanocheck.measuring.request import Request
from nanocheck.search.card_times import CardTime, RecordedStep, recorders, times
from nanocheck.search.scheduler import drive

SCHEMA = 2
AT_ONCE = 2
#: If the first so many cards give no answer, the others are not tried: it is not the card.
_HOPELESS = 3


class CardRow(msgspec.Struct, frozen=True, kw_only=True):
    """What came out on one card; sizes in bytes. ``time``: of a step, where it was asked for.

    ``held``: which of ``EveryCard.held`` lived at its peak; ``None`` where it did not come to its end.
    """

    gpu: str
    name: str
    capacity_bytes: int
    verdict: Verdict
    allocated_bytes: int
    reserved_bytes: int
    provenance: Provenance
    time: CardTime | None = None
    held: int | None = None


class EveryCard(msgspec.Struct, frozen=True, kw_only=True):
    """One command on many cards, the largest card first.

    Attributes:
        complete: not interrupted.
        not_run: ids of the cards that were not: interrupted, not on this platform, or nothing free.
        held: what lived at the peaks, by stack; cards of one kind share it.
        recorded: of ``--time``, the steps that the rows' times were modelled from.
    """

    schema: int = SCHEMA
    nanocheck: str = __version__
    command: tuple[str, ...]
    platform: str
    reserve_bytes: int
    complete: bool
    cards: tuple[CardRow, ...]
    not_run: tuple[str, ...]
    recorded: tuple[RecordedStep, ...] = ()
    held: tuple[tuple[StackHolding, ...], ...] = ()

    def of_kind(self, kind: Kind) -> tuple[str, ...]:
        """Ids of the cards with this verdict."""
        return tuple(row.gpu for row in self.cards if row.verdict.kind is kind)

    @property
    def no_kernels(self) -> tuple[str, ...]:
        """Ids of the cards that this PyTorch was not built for."""
        return tuple(row.gpu for row in self.cards if row.verdict.sentence.startswith(NO_KERNELS))

    @property
    def no_answer(self) -> tuple[str, ...]:
        """Ids of the other cards without a word about memory."""
        silent = (row.gpu for row in self.cards if not row.verdict.is_answer)
        return tuple(each for each in silent if each not in self.no_kernels)


def on_every_card(request: Request, show: Callable[[int, int, list[str]], None]) -> EveryCard:
    """One run for each card that was asked about and exists on the asked platform.

    Args:
        show: called with finished runs, all runs, and the names of what runs.

    Raises:
        RequestError: an unknown card.
        NanocheckError: the command gives no answer on any of the first cards.
    """
    asked = find_gpus(request.gpus, request.card.gpus)
    cards = sorted(
        (
            gpu
            for gpu in asked
            if request.card.platform in gpu.usable_bytes and _is_large_enough(gpu, request)
        ),
        key=lambda gpu: (-gpu.usable_bytes[request.card.platform], gpu.id),
    )
    found: dict[str, JudgedRun] = {}

    def on_card(gpu: Gpu) -> Generator[Sequence[Variation], Sequence[JudgedRun], None]:
        found[gpu.id] = (yield [Variation(name=gpu.id, gpu=gpu.id)])[0]
        if len(found) == _HOPELESS and not any(run.verdict.is_answer for run in found.values()):
            raise NanocheckError(
                f"expected verdicts, found none on the first {_HOPELESS} cards: {found[gpu.id].verdict}",
                hint=f"look at it on one card: nanocheck run --gpu {gpu.id} -- ...",
            )

    # What is timed of this host, nothing of ours may run beside: those runs go one at a time.
    recording = recorders(cards) if request.time else []
    others = [gpu for gpu in cards if gpu not in recording]
    complete = False
    with contextlib.suppress(KeyboardInterrupt):  # what was found until then is shown
        for group, at_once, time in ((recording, 1, True), (others, AT_ONCE, False)):
            shown = partial(_show, show, len(found), len(cards))
            with BackgroundRuns(replace(request, time=time), at_once, shown) as runs:
                drive(runs, [on_card(gpu) for gpu in group])
        complete = True
    held = tuple(
        dict.fromkeys(
            held_at_peak(found[gpu.id]) for gpu in cards if gpu.id in found and _ended(found[gpu.id])
        )
    )
    modelled = times(cards, found, [gpu.id for gpu in recording])
    return EveryCard(
        command=tuple(request.command),
        platform=request.card.platform,
        reserve_bytes=request.card.reserve_bytes,
        complete=complete,
        cards=tuple(_row(found[gpu.id], modelled.get(gpu.id), held) for gpu in cards if gpu.id in found),
        not_run=tuple(sorted(gpu.id for gpu in asked if gpu.id not in found)),
        recorded=tuple(RecordedStep.of(gpu.id, found[gpu.id].result) for gpu in recording if gpu.id in found),
        held=held,
    )


def _ended(run: JudgedRun) -> bool:
    return run.result.outcome is Outcome.COMPLETED


def _show(
    show: Callable[[int, int, list[str]], None], before: int, total: int, done: int, names: list[str]
) -> None:
    show(before + done, total, names)


def _is_large_enough(gpu: Gpu, request: Request) -> bool:
    """Whether anything is left on it beside what other processes use."""
    return request.card.reserve_bytes < gpu.usable_bytes[request.card.platform] - gpu.context_bytes


def _row(run: JudgedRun, time: CardTime | None, held: Sequence[tuple[StackHolding, ...]]) -> CardRow:
    device, main = run.result.device, run.result.main
    return CardRow(
        gpu=device.gpu,
        name=device.name,
        capacity_bytes=device.sure_capacity_bytes,
        verdict=run.verdict,
        allocated_bytes=main.allocated_bytes,
        reserved_bytes=main.reserved_bytes,
        provenance=run.result.provenance,
        time=time,
        held=held.index(held_at_peak(run)) if _ended(run) else None,
    )
