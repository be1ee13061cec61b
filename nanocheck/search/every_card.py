"""``--gpu all``: the same command on every card of the catalog, one run each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence

import msgspec

from nanocheck import __version__
from nanocheck.core.errors import NanocheckError
from nanocheck.core.gpus import Gpu, load_catalog
from nanocheck.core.result import Provenance
from nanocheck.core.verdict import JudgedRun, Kind, Verdict
from nanocheck.measuring.background_run import BackgroundRuns, Variation
from nanocheck.measuring.request import Request
from nanocheck.search.scheduler import drive

SCHEMA = 2
AT_ONCE = 2
#: If the first so many cards give no answer, the others are not tried: it is not the card.
_HOPELESS = 3


class CardRow(msgspec.Struct, frozen=True, kw_only=True):
    """What came out on one card; sizes in bytes."""

    gpu: str
    name: str
    capacity_bytes: int
    verdict: Verdict
    allocated_bytes: int
    reserved_bytes: int
    provenance: Provenance


class EveryCard(msgspec.Struct, frozen=True, kw_only=True):
    """One command on many cards, the largest card first.

    Attributes:
        complete: not interrupted.
        not_run: ids of the cards that were not: interrupted, not on this platform, or nothing free.
    """

    schema: int = SCHEMA
    nanocheck: str = __version__
    command: tuple[str, ...]
    platform: str
    reserve_bytes: int
    complete: bool
    cards: tuple[CardRow, ...]
    not_run: tuple[str, ...]

    def of_kind(self, kind: Kind) -> tuple[str, ...]:
        """Ids of the cards with this verdict."""
        return tuple(row.gpu for row in self.cards if row.verdict.kind is kind)

    @property
    def no_answer(self) -> tuple[str, ...]:
        """Ids of the cards without a word about memory."""
        return tuple(row.gpu for row in self.cards if not row.verdict.is_answer)


def on_every_card(request: Request, show: Callable[[int, int, list[str]], None]) -> EveryCard:
    """One run for each card that exists on the asked platform.

    Args:
        show: called with finished runs, all runs, and the names of what runs.

    Raises:
        NanocheckError: the command gives no answer on any of the first cards.
    """
    catalog = load_catalog(request.card.gpus).values()
    cards = sorted(
        (
            gpu
            for gpu in catalog
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

    complete = False
    with (
        contextlib.suppress(KeyboardInterrupt),  # what was found until then is shown
        BackgroundRuns(request, AT_ONCE, lambda done, names: show(done, len(cards), names)) as runs,
    ):
        drive(runs, [on_card(gpu) for gpu in cards])
        complete = True
    return EveryCard(
        command=tuple(request.command),
        platform=request.card.platform,
        reserve_bytes=request.card.reserve_bytes,
        complete=complete,
        cards=tuple(_row(found[gpu.id]) for gpu in cards if gpu.id in found),
        not_run=tuple(sorted(gpu.id for gpu in catalog if gpu.id not in found)),
    )


def _is_large_enough(gpu: Gpu, request: Request) -> bool:
    """Whether anything is left on it beside what other processes use."""
    return request.card.reserve_bytes < gpu.usable_bytes[request.card.platform] - gpu.context_bytes


def _row(run: JudgedRun) -> CardRow:
    device, main = run.result.device, run.result.main
    return CardRow(
        gpu=device.gpu,
        name=device.name,
        capacity_bytes=device.sure_capacity_bytes,
        verdict=run.verdict,
        allocated_bytes=main.allocated_bytes,
        reserved_bytes=main.reserved_bytes,
        provenance=run.result.provenance,
    )
