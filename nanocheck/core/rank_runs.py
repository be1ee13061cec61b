"""Each rank of a distributed run as a run of its own, for what looks at one process: comparisons, drift."""

from __future__ import annotations

import msgspec

from nanocheck.core.process_memory import ObservationEnd, ProcessMemory
from nanocheck.core.rank_cards import stand_ins
from nanocheck.core.ranks import need
from nanocheck.core.result import Outcome, RunResult
from nanocheck.core.verdict import JudgedRun, Kind, Verdict, classify, describe_oom

_ENDED = "another rank ended the run first"


def rank_runs(run: JudgedRun) -> dict[int, JudgedRun]:
    """By rank, in order: what it did on its own card, and its own verdict; {} of a run without ranks.

    Of several processes of one rank it is the one that reserved most. A verdict that was stored is kept.
    """
    stored = {each.rank: each.kind for each in run.verdict.ranks}
    found: dict[int, JudgedRun] = {}
    for process in run.result.processes:
        rank = process.rank
        if rank is not None and rank not in found:
            found[rank] = _alone(run, process, stored.get(rank))
    return dict(sorted(found.items()))


def machine_name(result: RunResult) -> str:
    """The card's id, or a machine as ``--gpu`` takes it: ``8xh100``."""
    return ",".join(f"{each.cards}x{each.device.gpu}" for each in result.machine) or result.device.gpu


def _alone(run: JudgedRun, process: ProcessMemory, kind: Kind | None) -> JudgedRun:
    result = run.result
    failed = process.oom is not None and not process.oom.caught
    ended_by_another = result.outcome is Outcome.OOM and not failed
    alone = msgspec.structs.replace(
        result,
        device=result.device_of(process.card),
        machine=(),
        world=1,
        processes=(msgspec.structs.replace(process, rank=None, other_cards=()),),
        outcome=Outcome.INCOMPLETE if ended_by_another else result.outcome,
        detail=_ENDED if ended_by_another else result.detail,
    )
    if result.outcome is Outcome.COMPLETED:
        # Who else uses the card counts, or would, as in the verdict of the whole run.
        every = msgspec.structs.replace(result, processes=(*result.processes, *stand_ins(result)))
        found = classify(every.on_card(process.card), run.margin_bytes)
        found = msgspec.structs.replace(found, process_bytes=need(process), ranks=())
    else:
        own = Kind.CRASHED if process.ended is ObservationEnd.FAILED else Kind.INCOMPLETE
        said = describe_oom(process.oom) if failed else process.error or _ENDED
        found = Verdict(
            kind=Kind.OOM if failed else own,
            process_bytes=need(process),
            headroom_bytes=None,
            sentence=said,
        )
    verdict = found if kind is None else msgspec.structs.replace(found, kind=kind)
    return JudgedRun(result=alone, margin_bytes=run.margin_bytes, verdict=verdict)
