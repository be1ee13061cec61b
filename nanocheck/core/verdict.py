"""Is it safe? A verdict is a pure function of a result and a margin."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from nanocheck.core import rank_cards, ranks
from nanocheck.core.open_questions import open_questions
from nanocheck.core.result import (
    ObservationEnd,
    Outcome,
    OutOfMemory,
    ProcessMemory,
    Recovery,
    RunResult,
)
from nanocheck.core.units import MIB, mib, mib_span

#: What must stay free for a run to be called safe, beside the most that CUDA itself takes. The parts: a plain
#: display without a desktop's programs holds 50-300 MiB; one training in six takes more for kernels and
#: handles than the range of ``cuda_context``; usable memory differs by driver by some tens of MiB. Together
#: under 512 MiB. A whole desktop (about 2 GB) is what ``--reserve`` is for.
DEFAULT_MARGIN_BYTES = 512 * MIB


class Kind(StrEnum):
    """What a result means. Only ``safe`` and ``tight`` promise that the run finishes on this card."""

    SAFE = "safe"
    TIGHT = "tight"
    PARTIAL = "partial"
    LOST_WORK = "lost-work"
    OOM = "oom"
    INCOMPLETE = "incomplete"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    INTERRUPTED = "interrupted"
    NO_GPU = "no-gpu"


#: What each verdict means, and the exit code of ``nanocheck run --check``: 0 it fits, 1 it does not, 5 it
#: fits as far as it was seen, 6 nobody knows. The documentation's table is made from this one.
MEANINGS = {
    Kind.SAFE: (0, "it finishes, and the margin stays free"),
    Kind.TIGHT: (0, "it finishes, but something small more may not fit: less than the margin stays free"),
    Kind.PARTIAL: (
        5,
        "what was run fits, and something was seen by which later steps, or ranks that were not run, may "
        "need more",
    ),
    Kind.LOST_WORK: (1, "it finishes, but ran out of memory on the way and left out what did not fit"),
    Kind.OOM: (1, "it runs out of memory"),
    Kind.INCOMPLETE: (6, "not every process that used the card, or may, was seen to its end"),
    Kind.CRASHED: (6, "the command, or a process of it, failed for another reason"),
    Kind.TIMEOUT: (6, "the time limit came first"),
    Kind.UNSUPPORTED: (
        6,
        "it calls something that the virtual GPU does not answer, or PyTorch has no kernels for the card",
    ),
    Kind.INTERRUPTED: (6, "somebody stopped it"),
    Kind.NO_GPU: (6, "nothing of it used the GPU"),
}
#: Verdicts under which what was run finished on the card.
FITS = (Kind.SAFE, Kind.TIGHT, Kind.PARTIAL)
#: Verdicts that say anything about memory.
ANSWERS = (*FITS, Kind.LOST_WORK, Kind.OOM)


class RankVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one rank's memory means on its card, or a process's on one of several, with whatever else uses it.

    Attributes:
        rank: ``None`` of a process without one.
        kind: *incomplete* of a rank that was not seen to its end since another failed first.
        process_bytes: what it had of the card.
    """

    rank: int | None
    card: int
    kind: Kind
    process_bytes: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a result means on its card.

    Attributes:
        process_bytes: what all processes together may have had of the card, as nvidia-smi would show it.
        headroom_bytes: what stays free of the card at the peak; ``None`` unless the run completed.
        sentence: one sentence for a person, without the kind before it.
        ranks: of a run with several ranks, or of a process on several cards, each one's own on each of its
            cards, in the order of ``core.ranks.by_rank``: the worst is the machine's.
    """

    kind: Kind
    process_bytes: int
    headroom_bytes: int | None
    sentence: str
    ranks: tuple[RankVerdict, ...] = ()

    @property
    def is_answer(self) -> bool:
        """Whether it says anything about memory."""
        return self.kind in ANSWERS

    @property
    def fits(self) -> bool:
        """Whether what was run finished on this card."""
        return self.kind in FITS

    def __str__(self) -> str:
        return f"{self.kind}: {self.sentence}"


class JudgedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A result and what it means, with the margin that had to stay free.

    Read leniently: what ``nanocheck run --json`` writes is one, and more.
    """

    result: RunResult
    margin_bytes: int
    verdict: Verdict

    @classmethod
    def of(cls, result: RunResult, margin_bytes: int = DEFAULT_MARGIN_BYTES) -> JudgedRun:
        """The verdict beside its result."""
        return cls(result=result, margin_bytes=margin_bytes, verdict=classify(result, margin_bytes))


def classify(result: RunResult, margin_bytes: int = DEFAULT_MARGIN_BYTES) -> Verdict:
    """The verdict on one result; ``result.device`` says how large the card is and who else is on it.

    *Safe* and *tight* need every process that touched the card seen to its end, and all of them together
    inside the card; of several cards the fullest decides, and ranks that were left out are taken to need what
    the others do only where nothing speaks against it (``core.ranks``), each on the card that it would have
    used (``core.rank_cards``). How much CUDA itself and NCCL take, and of some cards how much the driver
    leaves, is known as a range: *oom* is certain at what is kindest, *safe* holds at what is not, and what
    lies between is *tight*.
    """
    doubts = (ranks.doubt(result, margin_bytes), rank_cards.doubt(result))
    absent = rank_cards.stand_ins(result) if result.outcome is Outcome.COMPLETED else ()
    whole = msgspec.structs.replace(result, processes=(*result.processes, *absent)) if absent else result
    found = _of_the_machine(whole, margin_bytes, "; ".join(filter(None, doubts)))
    return msgspec.structs.replace(found, ranks=_by_rank(ranks.by_rank(result), whole, margin_bytes))


def _of_the_machine(result: RunResult, margin_bytes: int, doubt: str) -> Verdict:
    """Of cards that differ, or where a process has several, each is asked for itself: the worst decides."""
    by_card = len(result.machine) > 1 or any(each.other_cards for each in result.processes)
    if result.outcome is not Outcome.COMPLETED or not by_card or not result.processes:
        return _of_a_card(result, margin_bytes, doubt)
    each = {card: _of_a_card(result.on_card(card), margin_bytes, doubt) for card in result.cards}
    card, worst = min(each.items(), key=lambda found: (_how_well(found[1]), found[0]))
    name = result.device_of(card).name
    return msgspec.structs.replace(worst, sentence=f"on card {card}, {name}, {worst.sentence}")


def _how_well(found: Verdict) -> tuple[int, int]:
    order = (Kind.PARTIAL, Kind.TIGHT, Kind.SAFE)
    return (1 + order.index(found.kind) if found.kind in order else 0, found.headroom_bytes or 0)


def _of_a_card(result: RunResult, margin_bytes: int, doubt: str = "") -> Verdict:
    used, device = result.card_bytes, result.device

    def verdict(kind: Kind, sentence: str, headroom_bytes: int | None = None) -> Verdict:
        return Verdict(kind=kind, process_bytes=used, headroom_bytes=headroom_bytes, sentence=sentence)

    if result.outcome is Outcome.OOM:
        return verdict(Kind.OOM, _on_which_card(result) + describe_oom(result.oom) + _by_the_worst(result))
    if result.outcome is not Outcome.COMPLETED:
        return verdict(Kind(result.outcome.value), _no_answer(result))
    # Without PyTorch's caching allocator there is no history; what the card itself knows is there.
    if not result.main.peaks and result.main.process_bytes <= device.context_bytes:
        return verdict(Kind.CRASHED, "it reported success, but no peak")
    surplus = (device.context_most_bytes - device.context_bytes) * result.fullest_card.processes
    surplus += result.fullest_card.nccl_spread_bytes
    surplus += device.capacity_bytes - device.sure_capacity_bytes
    headroom = device.capacity_bytes - device.reserve_bytes - used - surplus
    kind, sentence = _classify_completed(result, headroom, surplus, margin_bytes)
    questions = [*open_questions(result), *filter(None, [doubt])]
    if kind in (Kind.SAFE, Kind.TIGHT) and questions:
        covered = [each.coverage for each in result.processes if each.coverage is not None]
        steps = max((each.steps for each in covered), default=0)
        seen = f"for {steps} steps" if steps else "as far as it was run"
        kind, sentence = Kind.PARTIAL, f"it fits {seen}, but {'; '.join(questions)}: {sentence}"
    return verdict(kind, sentence + _by_the_worst(result), headroom)


def _by_rank(shown: Sequence[ProcessMemory], result: RunResult, margin_bytes: int) -> tuple[RankVerdict, ...]:
    found = []
    out_of_memory = {
        each.pid for each in result.on_every_card if each.oom is not None and not each.oom.caught
    }
    for process in shown:
        if process.oom is not None and not process.oom.caught:
            kind = Kind.OOM
        elif result.outcome is Outcome.COMPLETED:
            kind = _of_a_card(result.on_card(process.card), margin_bytes).kind
        else:
            crashed = process.ended is ObservationEnd.FAILED and process.pid not in out_of_memory
            kind = Kind.CRASHED if crashed else Kind.INCOMPLETE
        found.append(
            RankVerdict(rank=process.rank, card=process.card, kind=kind, process_bytes=ranks.need(process))
        )
    return tuple(found)


def _on_which_card(result: RunResult) -> str:
    """Where a process had several."""
    if not any(each.other_cards for each in result.processes):
        return ""
    return next((f"on card {each.card}, " for each in result.on_every_card if each.oom is result.oom), "")


def _by_the_worst(result: RunResult) -> str:
    """That sizes were decided by the bound, which may be far more than they are."""
    if not any(each.sizes == "worst" for each in result.processes):
        return ""
    return "; with all elements where a size hangs on values nobody computes (--sizes balanced, least)"


def _classify_completed(
    result: RunResult, headroom_bytes: int, surplus_bytes: int, margin_bytes: int
) -> tuple[Kind, str]:
    """
    Args:
        headroom_bytes: with the most that CUDA may take, and the least that a driver leaves.
        surplus_bytes: by how much that is more than the least.
    """
    where = _where(result, headroom_bytes)
    if headroom_bytes + surplus_bytes < 0:
        beyond = f"{mib(-headroom_bytes - surplus_bytes)} MiB beyond the card"
        if result.device.kind == "real" and result.device.platform == "windows":
            return Kind.TIGHT, f"{beyond}, the driver spilled: {where}"
        return Kind.OOM, f"{beyond}: {where}"
    caught = [each.oom for each in result.processes if each.oom is not None]
    lost = [each for each in caught if each.recovery is not Recovery.SEARCHED]
    if lost:
        failures = sum(each.count for each in lost)
        often = "once" if failures == 1 else f"{failures} times"
        return (
            Kind.LOST_WORK,
            f"it ran out of memory {often}, caught it and left work out: {describe_oom(lost[0])}",
        )
    found = _after_a_search(result)
    retries = max(
        (each.retries if each.oom else max(each.retries, each.ooms) for each in result.processes), default=0
    )
    if retries:
        times = f"{retries} allocator {'retry' if retries == 1 else 'retries'}"
        return Kind.TIGHT, f"finished only after {times}{found}: {where}"
    if headroom_bytes < 0:
        missing = f"{mib(-headroom_bytes)} MiB may be missing{found}"
        device = result.device
        span = mib_span(device.context_bytes, device.context_most_bytes)
        drivers = ""
        if device.sure_capacity_bytes < device.capacity_bytes:
            left = mib_span(device.sure_capacity_bytes, device.capacity_bytes)
            drivers = f" and drivers leave {left} MiB of the card"
        nccl = result.fullest_card.nccl_bytes
        others = f", NCCL {mib_span(*nccl)} MiB" if nccl[1] else ""
        return Kind.TIGHT, f"{missing}, since CUDA itself takes {span} MiB{others}{drivers}: {where}"
    if headroom_bytes < margin_bytes:
        inside = f"{mib(headroom_bytes)} MiB of headroom is inside the margin of {mib(margin_bytes)}"
        return Kind.TIGHT, f"{inside}{found}: {where}"
    return Kind.SAFE, f"{mib(headroom_bytes)} MiB of headroom{found}: {where}"


def _where(result: RunResult, headroom_bytes: int) -> str:
    """Who has how much of what is there when CUDA takes the most, on the fullest card."""
    fullest, device = result.fullest_card, result.device
    on_it = [each for each in result.on_every_card if each.card == fullest.card]
    main = max(on_it, key=lambda each: each.reserved_bytes, default=result.main)
    if fullest.processes > 1 and fullest.together_bytes > main.process_bytes:
        there = f"{mib(fullest.together_bytes)} of {mib(fullest.together_bytes + headroom_bytes)} MiB"
        absent = sum(map(rank_cards.is_absent, on_it))
        ran = f" ({absent} of them ranks that were not run)" if absent else ""
        return f"{fullest.processes} processes together{ran} may need {there}, their peaks at one moment"
    if rank_cards.is_absent(main):
        there = f"{mib(main.process_bytes)} of {mib(main.process_bytes + headroom_bytes)} MiB"
        return f"{there} are what rank {main.rank} would take there, which was not run"
    beside = main.process_bytes - device.context_bytes - main.reserved_bytes
    whole = f"of {mib(main.reserved_bytes + max(beside, 0) + headroom_bytes)} available"
    if beside > MIB:
        return f"{mib(main.reserved_bytes)} MiB reserved and {mib(beside)} MiB taken beside PyTorch {whole}"
    return f"{mib(main.reserved_bytes)} MiB reserved {whole}"


def _after_a_search(result: RunResult) -> str:
    times = sum(each.oom.count for each in result.processes if each.oom is not None)
    if not times:
        return ""
    often = "one out-of-memory" if times == 1 else f"{times} out-of-memories"
    inputs = [
        each.coverage.shapes_seen[-1]
        for each in result.processes
        if each.oom is not None and each.coverage is not None and each.coverage.shapes_seen
    ]
    size = f"inputs of {' x '.join(map(str, inputs[0]))}, " if inputs else ""
    return f", at {size}the size that it went on with after {often}"


def describe_oom(oom: OutOfMemory | None) -> str:
    """What was asked for, where, and what was free; the one sentence for both pipelines."""
    if oom is None:
        return "out of memory, no details recorded"
    about = "" if oom.exact else "about "
    shape = f" for {oom.shape}" if oom.shape is not None else ""
    where = f" at {oom.where}" if oom.where else ""
    line = f"{'' if where else ' at'} `{oom.line}`" if oom.line else ""
    free = f", {mib(oom.free_bytes)} MiB were free" if oom.free_bytes is not None else ""
    if oom.limit_bytes is not None:
        free = f", the script's own limit is {mib(oom.limit_bytes)} MiB"
    asked = f"{about}{mib(oom.requested_bytes)} MiB{shape}{f' for {oom.by} itself' if oom.by else ''}"
    return f"{oom.phase} of step {oom.step} asked for {asked}{where}{line}{free}"


def _no_answer(result: RunResult) -> str:
    why = result.detail.strip().splitlines()[:1] or ["no reason recorded"]
    reserved = result.main.reserved_bytes
    return why[0].strip() + (f"; until then {mib(reserved)} MiB reserved" if reserved else "")


def leaks(result: RunResult) -> str | None:
    """Why the last two optimizer steps differ in peak requested bytes, or ``None`` when they are equal.

    The step reaches its steady state when the optimizer's state exists, so from step 1 on every step
    peaks at the same byte; one tensor kept per step breaks it. Compared phase by phase, and by what the
    tensors themselves ask for: allocated bytes also count the rest of a block that the allocator found
    too small to split (up to 1 MiB each), which moves from step to step while blocks find their places,
    and the reserved peak settles later still. Runs that did not complete have nothing to compare.

    With CUDA graphs step 0 warms up and step 1 records, so only from step 2 on does the step repeat
    itself: a run of fewer than 4 steps cannot show it, and is let through.
    """
    if result.outcome is not Outcome.COMPLETED:
        return None
    peaks = result.main.peaks
    steps = {(peak.phase, peak.step): peak.requested_bytes for peak in peaks if peak.phase in _STEADY}
    last = max((step for _, step in steps), default=0)
    if result.config is not None and result.config.compile == "reduce-overhead" and last < 3:
        return None
    if last < 2:
        return f"expected at least 3 optimizer steps to see a steady state, found {last + 1 if steps else 0}"
    for phase in _STEADY:
        before, after = steps.get((phase, last - 1)), steps.get((phase, last))
        if before != after:
            if before is None or after is None:
                return (
                    f"{phase}: expected a peak in steps {last - 1} and {last}, found one in only one of them"
                )
            return (
                f"{phase}: expected equal peaks in steps {last - 1} and {last}, found {before} and {after} "
                f"bytes ({after - before:+d}): the step keeps or loses memory from one step to the next"
            )
    return None


_STEADY = ("forward", "backward", "optimizer")
