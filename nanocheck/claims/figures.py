"""What a run or a card of a claim file can be asked, after the dot: ``fix.allocated``, ``laptop.power``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nanocheck.claims.amounts import BYTES, COUNT, Dimension, Unknown, Value, exactly
from nanocheck.core.config import StepConfig
from nanocheck.core.gpus import Gpu
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.core.verdict import classify

_OUTCOMES = ("completed", "oom")


@dataclass(frozen=True)
class Figure:
    """One figure: what it means, its kind, and how it is found.

    ``of`` gives None where there is no such thing: no request that failed, no bf16 unit.
    """

    meaning: str
    of: Callable[[Any], float | str | bool | None]
    kind: str = "amount"
    dimension: Dimension = COUNT
    unit: str | None = None
    only_completed: bool = False

    def unknown(self, why: str) -> Unknown:
        return Unknown(why, self.kind, self.dimension)

    def value(self, source: Any) -> Value:
        """The figure of a config, record or card."""
        found = self.of(source)
        if found is None:
            return self.unknown(f"there is no {self.meaning}")
        return found if isinstance(found, str | bool) else exactly(found, self.dimension)


def _bytes(meaning: str, of: Callable[[Any], float | None], *, only_completed: bool = False) -> Figure:
    return Figure(meaning, of, "amount", BYTES, "MiB", only_completed)


#: Known without running anything.
OF_CONFIG: dict[str, Figure] = {
    "sequences": Figure("sequences an optimizer step", lambda c: c.batch * c.accumulation),
    "tokens": Figure("tokens an optimizer step", lambda c: c.batch * c.accumulation * c.block_size),
    "parameters": Figure("parameters, by formula", lambda c: c.parameters),
    "layers": Figure("layers", lambda c: c.n_layer),
    "width": Figure("width", lambda c: c.n_embd),
    "heads": Figure("attention heads", lambda c: c.n_head),
    "vocabulary": Figure("rows of the embedding", lambda c: c.vocab_size),
    "context": Figure("tokens a sequence", lambda c: c.block_size),
}


def _step_peaks(record: RunResult) -> dict[int, int]:
    """Largest allocated bytes of each optimizer step."""
    found: dict[int, int] = {}
    for peak in record.main.peaks:
        if peak.phase in ("forward", "backward", "optimizer"):
            found[peak.step] = max(found.get(peak.step, 0), peak.allocated_bytes)
    return found


def _steady_from(record: RunResult) -> int | None:
    """The first step, from 1, from which on all peak at the same byte; None if the last two differ."""
    peaks = [peak for _, peak in sorted(_step_peaks(record).items())]
    same = next((place for place, peak in enumerate(peaks) if set(peaks[place:]) == {peak}), None)
    return None if same is None or same >= len(peaks) - 1 else same + 1


def _ending(record: RunResult) -> str:
    """How it ended, to be put after ``it``."""
    if record.oom is None:
        free = classify(record).headroom_bytes or 0
        return f"completes with {free / MIB:,.0f} MiB to spare"
    asked = record.oom.requested_bytes / MIB
    return f"runs out of memory in its {record.oom.phase}, asking for {asked:,.0f} MiB"


#: Known once the configuration ran; ``only_completed`` ones mean nothing where it ran out of memory.
OF_RECORD: dict[str, Figure] = {
    "fits": Figure("completed run", lambda r: r.outcome == "completed", "truth"),
    "outcome": Figure("outcome", lambda r: r.outcome.value, "text"),
    "ending": Figure("end", _ending, "text"),
    "verdict": Figure("verdict (safe, tight, oom)", lambda r: classify(r).kind, "text"),
    "allocated": _bytes("peak allocated", lambda r: r.main.allocated_bytes, only_completed=True),
    "reserved": _bytes("peak reserved", lambda r: r.main.reserved_bytes, only_completed=True),
    "process": _bytes(
        "peak reserved and CUDA context", lambda r: classify(r).process_bytes, only_completed=True
    ),
    "headroom": _bytes("memory left free", lambda r: classify(r).headroom_bytes, only_completed=True),
    "reached": _bytes("peak allocated, up to its end or its death", lambda r: r.main.allocated_bytes),
    "asked": _bytes("request that failed", lambda r: None if r.oom is None else r.oom.requested_bytes),
    "died_in": Figure(
        "phase in which it ran out of memory", lambda r: None if r.oom is None else r.oom.phase, "text"
    ),
    "died_at": Figure("line that ran out of memory", lambda r: None if r.oom is None else r.oom.line, "text"),
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
    "card": Figure("card", lambda r: str(r.device.name), "text"),
}
#: Whether nanocheck refuses to build the configuration, and why.
OF_REFUSAL = ("refused", "refusal")
RUN_FIGURES = (*OF_CONFIG, *OF_RECORD, *OF_REFUSAL)

#: Of a card: the catalog's figure that says where it comes from, and the figure.
_RATE: Dimension = (0, -1, 0, 0)
OF_CARD: dict[str, tuple[str, Figure]] = {
    "tflops": (
        "bf16_tflops",
        Figure(
            "dense bf16 peak",
            lambda g: None if g.bf16_tflops is None else g.bf16_tflops * 1e12,
            "amount",
            _RATE,
            "TFLOPS",
        ),
    ),
    "bandwidth": (
        "bandwidth_gb_s",
        Figure("memory bandwidth", lambda g: g.bandwidth_gb_s * 1e9, "amount", (1, -1, 0, 0), "GB/s"),
    ),
    "power": ("tgp_w", Figure("board power", lambda g: g.tgp_w, "amount", (0, -1, 1, 0), "W")),
    "usable": (
        "linux_usable_mib",
        _bytes("memory under Linux", lambda g: g.usable_bytes.get("linux")),
    ),
    "left": (
        "context_mib",
        _bytes(
            "memory under Linux beside the CUDA context",
            lambda g: g.usable_bytes["linux"] - g.context_bytes if "linux" in g.usable_bytes else None,
        ),
    ),
    "sms": ("sms", Figure("streaming multiprocessors", lambda g: g.sms)),
}


def of_config(config: StepConfig, name: str) -> Value:
    """``OF_CONFIG``'s figure."""
    return OF_CONFIG[name].value(config)


def of_record(record: RunResult | None, name: str) -> Value:
    """``OF_RECORD``'s figure; unknown before the run, and where it gave no answer about memory."""
    figure = OF_RECORD[name]
    if record is None:
        return figure.unknown("it has not run")
    if record.outcome not in _OUTCOMES:
        why = record.detail.strip().splitlines()[:1] or ["no reason recorded"]
        return figure.unknown(f"{record.id} {record.outcome}: {why[0].strip()}")
    if figure.only_completed and record.outcome != "completed":
        return figure.unknown(f"{record.id} ran out of memory, so there is no {figure.meaning}")
    return figure.value(record)


def of_card(gpu: Gpu, name: str) -> Value:
    """``OF_CARD``'s figure."""
    return OF_CARD[name][1].value(gpu)
