"""The figures of a configuration, of its run and of a card: ``c.fix.allocated``, ``c.card("t4").power``.

Each table is name -> ``Figure``; the names are the documented interface of claims (docs/add-a-claim.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nanocheck.claims.interval import Interval
from nanocheck.claims.truth import Formula, Text, Truth
from nanocheck.core.config import StepConfig
from nanocheck.core.gpus import Gpu
from nanocheck.core.result import RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.core.units import MIB
from nanocheck.core.verdict import classify
from nanocheck.timing.of_run import step_time

Source = TypeVar("Source")
#: What a figure may be worth.
Value = Interval | Truth | Text


@dataclass(frozen=True)
class Figure(Generic[Source]):
    """One figure.

    Attributes:
        meaning: in words, for the page.
        of: finds it; None where there is no such thing, such as a request that failed.
        kind: what it is.
        unit: that ``of`` counts in. shown: that a page shows it in, if another.
        only_completed: means nothing where the run ran out of memory.
        catalog_name: whose source in the catalog of cards it has.
    """

    meaning: str
    of: Callable[[Source], float | tuple[float, float] | str | bool | None]
    kind: type[Value] = Interval
    unit: str = ""
    shown: str = ""
    only_completed: bool = False
    catalog_name: str = ""

    def value(self, name: str, source: Source) -> Value:
        """The figure under a name, ``fix.allocated``."""
        found = self.of(source)
        if found is None:
            return self.unknown(name, f"there is no {self.meaning}")
        if isinstance(found, bool):
            return Truth(found, "", Formula(name))
        if isinstance(found, str):
            return Text(found, "", Formula(name))
        low, high = found if isinstance(found, tuple) else (found, None)
        return Interval(low, high, unit=self.unit).named(name, self.shown or self.unit)

    def unknown(self, name: str, why: str) -> Value:
        """The figure where nobody knows it; of the same kind and unit, so that a claim can be checked."""
        if self.kind is Truth:
            return Truth(None, why, Formula(name))
        if self.kind is Text:
            return Text(None, why, Formula(name))
        return Interval.unknown(why, self.unit).named(name, self.shown or self.unit)


def _bytes(
    meaning: str,
    of: Callable[[Source], float | None],
    *,
    only_completed: bool = False,
    catalog_name: str = "",
) -> Figure[Source]:
    return Figure(meaning, of, Interval, "B", "MiB", only_completed, catalog_name)


#: Known without running anything.
OF_CONFIG: dict[str, Figure[StepConfig]] = {
    "sequences": Figure("sequences an optimizer step", lambda c: c.batch * c.accumulation),
    "tokens": Figure("tokens an optimizer step", lambda c: c.batch * c.accumulation * c.block_size),
    "parameters": Figure("parameters, by formula", lambda c: c.parameters),
    "layers": Figure("layers", lambda c: c.n_layer),
    "width": Figure("width", lambda c: c.n_embd),
    "heads": Figure("attention heads", lambda c: c.n_head),
    "vocabulary": Figure("rows of the embedding", lambda c: c.vocab_size),
    "context": Figure("tokens a sequence", lambda c: c.block_size),
}
#: Whether nanocheck refuses to build the configuration, and why.
REFUSED, REFUSAL = "refused", "refusal"


def _step_peaks(result: RunResult) -> dict[int, int]:
    """Largest allocated bytes of each optimizer step."""
    found: dict[int, int] = {}
    for peak in result.main.peaks:
        if peak.phase in ("forward", "backward", "optimizer"):
            found[peak.step] = max(found.get(peak.step, 0), peak.allocated_bytes)
    return found


def _steady_from(result: RunResult) -> int | None:
    """The first step, from 1, from which on all peak at the same byte; None if the last two differ."""
    peaks = [peak for _, peak in sorted(_step_peaks(result).items())]
    same = next((place for place, peak in enumerate(peaks) if set(peaks[place:]) == {peak}), None)
    return None if same is None or same >= len(peaks) - 1 else same + 1


def _ending(result: RunResult) -> str:
    """How it ended, to be put after ``it``."""
    if result.oom is None:
        free = classify(result).headroom_bytes or 0
        return f"completes with {free / MIB:,.0f} MiB to spare"
    asked = result.oom.requested_bytes / MIB
    return f"runs out of memory in its {result.oom.phase}, asking for {asked:,.0f} MiB"


#: Known once the configuration ran.
OF_RUN: dict[str, Figure[RunResult]] = {
    "fits": Figure("completed run", lambda r: r.outcome == "completed", Truth),
    "outcome": Figure("outcome", lambda r: r.outcome.value, Text),
    "ending": Figure("end", _ending, Text),
    "verdict": Figure("verdict (safe, tight, oom)", lambda r: classify(r).kind.value, Text),
    "allocated": _bytes("peak allocated", lambda r: r.main.allocated_bytes, only_completed=True),
    "reserved": _bytes("peak reserved", lambda r: r.main.reserved_bytes, only_completed=True),
    "process": _bytes(
        "peak reserved and CUDA context", lambda r: classify(r).process_bytes, only_completed=True
    ),
    "headroom": _bytes("memory left free", lambda r: classify(r).headroom_bytes, only_completed=True),
    "reached": _bytes("peak allocated, up to its end or its death", lambda r: r.main.allocated_bytes),
    "asked": _bytes("request that failed", lambda r: None if r.oom is None else r.oom.requested_bytes),
    "died_in": Figure(
        "phase in which it ran out of memory", lambda r: None if r.oom is None else r.oom.phase, Text
    ),
    "died_at": Figure("line that ran out of memory", lambda r: None if r.oom is None else r.oom.line, Text),
    "retries": Figure("allocator retries", lambda r: r.main.retries),
    "steps": Figure("optimizer steps that ran", lambda r: len(_step_peaks(r)), only_completed=True),
    "steady_from": Figure(
        "step (from 1) from which on all steps peak at the same byte", _steady_from, only_completed=True
    ),
    "first_step": _bytes("peak of step 1", lambda r: _step_peaks(r).get(0), only_completed=True),
    "third_step": _bytes("peak of step 3", lambda r: _step_peaks(r).get(2), only_completed=True),
    "last_step": _bytes(
        "peak of the last step", lambda r: _step_peaks(r)[max(_step_peaks(r))], only_completed=True
    ),
    "card": Figure("card", lambda r: str(r.device.name), Text),
}
#: Known once it ran with ``"time": True``; modelled.
OF_STEP: dict[str, Figure[StepTime]] = {
    "step_time": Figure(
        "time of a step, the span of 80 % of real ones",
        lambda t: None if t.interval is None else (t.interval.low, t.interval.high),
        unit="s",
        only_completed=True,
    ),
    "step_estimate": Figure(
        "time of a step, the estimate alone", lambda t: t.seconds, unit="s", only_completed=True
    ),
    "tflops": Figure(
        "exact operations a second, by the estimate",
        lambda t: t.operations / t.seconds / 1e12,
        unit="TFLOPS",
        only_completed=True,
    ),
}
#: Everything that a run has.
RUN_FIGURES: dict[str, Figure[Any]] = {**OF_RUN, **OF_STEP}

OF_CARD: dict[str, Figure[Gpu]] = {
    "tflops": Figure("dense bf16 peak", lambda g: g.bf16_tflops, unit="TFLOPS", catalog_name="bf16_tflops"),
    "bandwidth": Figure(
        "memory bandwidth", lambda g: g.bandwidth_gb_s, unit="GB/s", catalog_name="bandwidth_gb_s"
    ),
    "power": Figure("board power", lambda g: g.tgp_w, unit="W", catalog_name="tgp_w"),
    "usable": _bytes(
        "memory under Linux", lambda g: g.usable_bytes.get("linux"), catalog_name="linux_usable_mib"
    ),
    "left": _bytes(
        "memory under Linux beside the CUDA context",
        lambda g: g.usable_bytes["linux"] - g.context_bytes if "linux" in g.usable_bytes else None,
        catalog_name="context_mib",
    ),
    "sms": Figure("streaming multiprocessors", lambda g: g.sms, catalog_name="sms"),
}


def of_run(name: str, figure: str, result: RunResult | None, find: Callable[[str], Gpu]) -> Value:
    """A figure of a run; unknown before it ran, and where it gave no answer about memory.

    Args:
        name: as a claim calls it. figure: of ``RUN_FIGURES``. find: a card by its id.
    """
    known = RUN_FIGURES[figure]
    if result is None:
        return known.unknown(name, "it has not run")
    if not result.outcome.is_answer:
        why = result.detail.strip().splitlines()[:1] or ["no reason recorded"]
        return known.unknown(name, f"{result.id} {result.outcome}: {why[0].strip()}")
    if known.only_completed and result.outcome != "completed":
        return known.unknown(name, f"{result.id} ran out of memory, so there is no {known.meaning}")
    if figure not in OF_STEP:
        return known.value(name, result)
    step = step_time(result, find(result.device.gpu))
    return known.unknown(name, f"there is no {known.meaning}") if step is None else known.value(name, step)
