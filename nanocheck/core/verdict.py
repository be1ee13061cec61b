"""Is it safe? A verdict is a pure function of a result and a margin."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from nanocheck.core.result import Outcome, OutOfMemory, RunResult
from nanocheck.core.units import MIB, mib

#: What must stay free for a run to be called safe. The parts: the context figures of the catalog are known
#: to about +-60 MiB (memory-model.md, section 3: 414-480 MiB seen on cards of one generation); a plain
#: display without a desktop's programs holds 50-300 MiB; compiled runs load one module per kernel, tens
#: of KiB to 1 MiB each. Together under 512 MiB. A whole desktop (about 2 GB) is what ``--reserve`` is for.
DEFAULT_MARGIN_BYTES = 512 * MIB


class Kind(StrEnum):
    """What a result means; only the first three say something about memory."""

    SAFE = "safe"
    TIGHT = "tight"
    OOM = "oom"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    INTERRUPTED = "interrupted"
    NO_GPU = "no-gpu"


#: Verdicts under which the run finishes.
FITS = (Kind.SAFE, Kind.TIGHT)
#: Verdicts that say anything about memory.
ANSWERS = (*FITS, Kind.OOM)


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a result means on its card.

    Attributes:
        process_bytes: peak reserved and context of the largest process: what nvidia-smi would show for it.
        headroom_bytes: what stays free of the card at the peak; ``None`` unless the run completed.
        sentence: one sentence for a person, without the kind before it.
    """

    kind: Kind
    process_bytes: int
    headroom_bytes: int | None
    sentence: str

    @property
    def is_answer(self) -> bool:
        """Whether it says anything about memory."""
        return self.kind in ANSWERS

    @property
    def fits(self) -> bool:
        """Whether the run finishes on this card."""
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
    """The verdict on one result; ``result.device`` says how large the card is and who else is on it."""
    main = result.main
    process = main.process_bytes or main.reserved_bytes + result.device.context_bytes

    def verdict(kind: Kind, sentence: str, headroom_bytes: int | None = None) -> Verdict:
        return Verdict(kind=kind, process_bytes=process, headroom_bytes=headroom_bytes, sentence=sentence)

    if result.outcome is Outcome.OOM:
        return verdict(Kind.OOM, describe_oom(result.oom))
    if result.outcome is not Outcome.COMPLETED:
        return verdict(Kind(result.outcome.value), _no_answer(result))
    if not main.peaks:
        return verdict(Kind.CRASHED, "it reported success, but no peak")
    # Several processes share the card, and each brings its own context.
    others = sum(each.process_bytes for each in result.processes[1:])
    headroom = result.device.available_bytes - others - main.reserved_bytes
    retries = max(max(each.retries, each.ooms) for each in result.processes)
    kind, sentence = _classify_completed(main.reserved_bytes, headroom, retries, margin_bytes)
    return verdict(kind, sentence, headroom)


def _classify_completed(
    reserved_bytes: int, headroom_bytes: int, retries: int, margin_bytes: int
) -> tuple[Kind, str]:
    where = f"{mib(reserved_bytes)} MiB reserved of {mib(reserved_bytes + headroom_bytes)} available"
    if headroom_bytes < 0:
        return Kind.TIGHT, f"{mib(-headroom_bytes)} MiB beyond the card, the driver spilled: {where}"
    if retries:
        times = f"{retries} allocator {'retry' if retries == 1 else 'retries'}"
        return Kind.TIGHT, f"finished only after {times}: {where}"
    if headroom_bytes < margin_bytes:
        inside = f"{mib(headroom_bytes)} MiB of headroom is inside the margin of {mib(margin_bytes)}"
        return Kind.TIGHT, f"{inside}: {where}"
    return Kind.SAFE, f"{mib(headroom_bytes)} MiB of headroom: {where}"


def describe_oom(oom: OutOfMemory | None) -> str:
    """What was asked for, where, and what was free; the one sentence for both pipelines."""
    if oom is None:
        return "out of memory, no details recorded"
    about = "" if oom.exact else "about "
    shape = f" for {oom.shape}" if oom.shape is not None else ""
    where = f" at {oom.where}" if oom.where else ""
    line = f"{'' if where else ' at'} `{oom.line}`" if oom.line else ""
    free = f", {mib(oom.free_bytes)} MiB were free" if oom.free_bytes is not None else ""
    asked = f"{about}{mib(oom.requested_bytes)} MiB{shape}"
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
