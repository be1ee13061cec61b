"""One side of a comparison of two runs: its figures, and what it held.

Folders are left out of what is kept: who reads a comparison need not know where on a machine it was made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from nanocheck.core.rank_runs import machine_name, rank_runs
from nanocheck.core.result import Outcome, OutOfMemory, Provenance, RunResult
from nanocheck.core.stacks import StackHolding
from nanocheck.core.verdict import JudgedRun, Kind

#: Blocks are larger than what was asked for; see ``ProcessMemory.groups``.
ROUNDING = "rounding"
#: An absolute folder: it begins a word, or what an option or a quote has.
_FOLDERS = re.compile(r"(?<![\w.~/-])/(?:[^\s/'\"=:]+/)+")


class Side(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run.

    Attributes:
        provenance: where its numbers come from. torch: its version.
        verdict, sentence: what it means on its card.
        allocated_bytes, reserved_bytes: of the process that reserved most, at their peaks; where memory ran
            out, ``allocated_bytes`` is what lived then and what was asked for.
        process_bytes: of all processes together, as nvidia-smi would show it; of a rank its own.
        headroom_bytes: what stays free of the card; ``None`` unless the run completed.
        exact: these are the peaks of a run that came to its end; else they are what was reached.
        in_room: the peaks are of the same card with more memory than there is, since the run does not fit.
        phase, step: of the allocated peak, or of the out-of-memory; an empty phase where nobody says it.
    """

    provenance: Provenance
    torch: str | None = None
    verdict: Kind
    sentence: str
    allocated_bytes: int
    reserved_bytes: int
    process_bytes: int
    headroom_bytes: int | None
    exact: bool
    in_room: bool = False
    phase: str
    step: int


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A run as something to compare.

    Attributes:
        id: the command, the test or the configuration. gpu, card: the card's id and name; of a machine with
            several, all of them.
        held: what lived at the peak, or was wanted when memory ran out, and what its blocks have beyond it;
            nothing where the result does not say it.
        said: what a reader must know of this side.
        ranks: of a distributed run, each rank that ran, with its own verdict.
    """

    id: str
    gpu: str
    card: str
    platform: str
    side: Side
    held: tuple[StackHolding, ...] = ()
    said: tuple[str, ...] = ()
    ranks: Mapping[int, Subject] = field(default_factory=dict)

    def as_rank(self, rank: int) -> Subject:
        """The run with the figures and tensors of one of its ranks; what is said of the machine stays."""
        own = self.ranks[rank]
        side = msgspec.structs.replace(
            own.side,
            verdict=self.side.verdict,
            sentence=self.side.sentence,
            headroom_bytes=self.side.headroom_bytes,
        )
        said = tuple(dict.fromkeys((*self.said, *own.said)))
        return replace(self, side=side, held=own.held, said=said)

    @classmethod
    def of(cls, run: JudgedRun, in_room: JudgedRun | None = None) -> Subject:
        """A run.

        Args:
            in_room: the same on the same card with more memory, where it does not fit; its peaks are taken.
        """
        device, measured = run.result.device, run if in_room is None else in_room
        side = _side(measured)
        if in_room is not None:
            side = msgspec.structs.replace(
                side,
                verdict=run.verdict.kind,
                sentence=without_folders(run.verdict.sentence),
                headroom_bytes=None,
                in_room=True,
            )
        rooms = {} if in_room is None else rank_runs(in_room)
        ranks = {rank: cls.of(each, rooms.get(rank)) for rank, each in rank_runs(run).items()}
        said = []
        if _ended_by(measured) is not None:
            said.append("memory ran out: the figures are of that moment, not of a peak")
        if len(measured.result.processes) > max(1, len(ranks)):
            said.append("several processes used the card: only the one that reserved most is explained")
        return cls(
            id=name_of(run.result),
            gpu=machine_name(run.result),
            card=run.result.device_name,
            platform=device.platform,
            side=side,
            held=held_at_peak(measured),
            said=tuple(said),
            ranks=ranks,
        )


def name_of(result: RunResult) -> str:
    """The command, the test or the configuration, without absolute folders."""
    return without_folders(result.id)


def without_folders(text: str) -> str:
    """A text whose absolute paths are reduced to the names of their files."""
    return _FOLDERS.sub("", text)


def _ended_by(run: JudgedRun) -> OutOfMemory | None:
    """The out-of-memory that ended the run."""
    oom = run.result.main.oom
    return oom if run.result.outcome is Outcome.OOM and oom is not None and not oom.caught else None


def held_at_peak(run: JudgedRun) -> tuple[StackHolding, ...]:
    """See ``Subject.held``."""
    main, oom = run.result.main, _ended_by(run)
    stacks = main.stacks if oom is None else oom.stacks
    groups = main.groups if oom is None else oom.groups
    rounding = (
        StackHolding(bytes=each.bytes, most_bytes=each.bytes, count=each.count, group=each.group)
        for each in groups
        if each.group == ROUNDING
    )
    return (*stacks, *rounding) if stacks else ()


def _side(run: JudgedRun) -> Side:
    result, main, oom = run.result, run.result.main, _ended_by(run)
    allocated, moment = main.allocated_bytes, main.at or oom
    if oom is not None:
        then = sum(each.bytes for each in oom.groups)
        allocated, moment = then + oom.requested_bytes if then else allocated, oom
    return Side(
        provenance=result.provenance,
        torch=result.environment.torch,
        verdict=run.verdict.kind,
        sentence=without_folders(run.verdict.sentence),
        allocated_bytes=allocated,
        reserved_bytes=main.reserved_bytes,
        process_bytes=run.verdict.process_bytes,
        headroom_bytes=run.verdict.headroom_bytes,
        exact=result.outcome is Outcome.COMPLETED,
        phase=moment.phase if moment is not None else main.peak_phase,
        step=moment.step if moment is not None else 0,
    )
