"""Is it safe? A verdict is a pure function of a record and a margin."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.result import Record
from nanocheck.core.units import MIB, mib

#: What must stay free for a run to be called safe. The parts: the context figures of the catalog are known
#: to about +-60 MiB (memory-model.md, section 3: 414-480 MiB seen on cards of one generation); a plain
#: display without a desktop's programs holds 50-300 MiB; compiled runs load one module per kernel, tens
#: of KiB to 1 MiB each. Together under 512 MiB. A whole desktop (about 2 GB) is what ``--reserve`` is for.
DEFAULT_MARGIN_BYTES = 512 * MIB

KINDS = ("safe", "tight", "oom", "crashed", "timeout", "unsupported")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a record means on its card.

    Attributes:
        kind: one of ``KINDS``; the last three are no answer about memory.
        process_bytes: peak reserved + context: what nvidia-smi would show for the process.
        headroom_bytes: capacity - context - reserve - peak reserved; ``None`` unless the run completed.
        sentence: one sentence for a person.
    """

    kind: str
    process_bytes: int
    headroom_bytes: int | None
    sentence: str

    @property
    def is_answer(self) -> bool:
        """Whether it says anything about memory."""
        return self.kind in ("safe", "tight", "oom")


def classify(record: Record, margin_bytes: int = DEFAULT_MARGIN_BYTES) -> Verdict:
    """The verdict on one record; ``record.device`` says how large the card is and who else is on it."""
    capacity, context, reserve = (
        int(record.device.get(name, 0)) for name in ("capacity_bytes", "context_bytes", "reserve_bytes")
    )
    process = record.peak_reserved_bytes + context
    headroom = capacity - context - reserve - record.peak_reserved_bytes

    def verdict(kind: str, sentence: str, headroom_bytes: int | None = None) -> Verdict:
        return Verdict(kind=kind, process_bytes=process, headroom_bytes=headroom_bytes, sentence=sentence)

    if record.outcome == "oom":
        return verdict("oom", _oom_sentence(record))
    if record.outcome != "completed":
        why = record.detail.strip().splitlines()[:1] or ["no reason recorded"]
        return verdict(record.outcome, f"{record.outcome}: {why[0].strip()}")
    if not record.peaks:
        return verdict("crashed", "crashed: it reported success, but no peak")

    kind, sentence = classify_reserved(
        record.peak_reserved_bytes, headroom, max(record.retries, record.ooms), margin_bytes
    )
    return verdict(kind, sentence, headroom)


def classify_reserved(
    reserved_bytes: int, headroom_bytes: int, retries: int, margin_bytes: int = DEFAULT_MARGIN_BYTES
) -> tuple[str, str]:
    """Kind and sentence for a run that completed.

    Args:
        reserved_bytes: the peak PyTorch reserved.
        headroom_bytes: what was left of the card beside it.
        retries: how often the allocator had to give memory back before it found some.
        margin_bytes: less headroom than this is tight.
    """
    where = f"{mib(reserved_bytes)} MiB reserved of {mib(reserved_bytes + headroom_bytes)} available"
    if headroom_bytes < 0:
        return "tight", f"tight: {mib(-headroom_bytes)} MiB beyond the card, the driver spilled: {where}"
    if retries:
        times = f"{retries} allocator {'retry' if retries == 1 else 'retries'}"
        return "tight", f"tight: finished only after {times}: {where}"
    if headroom_bytes < margin_bytes:
        return (
            "tight",
            f"tight: {mib(headroom_bytes)} MiB of headroom is inside the margin of {mib(margin_bytes)}: "
            f"{where}",
        )
    return "safe", f"safe: {mib(headroom_bytes)} MiB of headroom: {where}"


def _oom_sentence(record: Record) -> str:
    if record.oom is None:
        return "oom: out of memory, no details recorded"
    oom = record.oom
    shape = f" for {oom.shape}" if oom.shape is not None else ""
    about = "" if oom.exact else "about "
    return f"oom: {oom.phase} of step {oom.step} asked for {about}{mib(oom.requested_bytes)} MiB{shape}" + (
        f" at `{oom.line}`" if oom.line else ""
    )


def leaks(record: Record) -> str | None:
    """Why the last two optimizer steps differ in peak requested bytes, or ``None`` when they are equal.

    The step reaches its steady state when the optimizer's state exists, so from step 1 on every step
    peaks at the same byte; one tensor kept per step breaks it. Compared phase by phase, and by what the
    tensors themselves ask for: allocated bytes also count the rest of a block that the allocator found
    too small to split (up to 1 MiB each), which moves from step to step while blocks find their places,
    and the reserved peak settles later still. Runs that did not complete have nothing to compare.

    With CUDA graphs step 0 warms up and step 1 records, so only from step 2 on does the step repeat
    itself: a run of fewer than 4 steps cannot show it, and is let through.
    """
    if record.outcome != "completed":
        return None
    steps = {(peak.phase, peak.step): peak.requested_bytes for peak in record.peaks if peak.phase in _STEADY}
    last = max((step for _, step in steps), default=0)
    if record.config.compile == "reduce-overhead" and last < 3:
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
