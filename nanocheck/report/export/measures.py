"""What is counted of a run, for the formats that hold nothing but numbers."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nanocheck.core.errors import NanocheckError
from nanocheck.report.export.card_run import CardRun


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A number of a run.

    Attributes:
        name: a key of ``MEANINGS``.
        value: exact where it is an ``int``. least, most: ``None`` where no range is known.
        provenance: of this number, which for a time is another than for the bytes.
    """

    name: str
    unit: str
    value: int | float
    least: int | float | None = None
    most: int | float | None = None
    provenance: str
    smaller_is_better: bool = True


#: Every name, with a sentence for those who read the number without knowing nanocheck.
MEANINGS = {
    "peak-allocated": "PyTorch's max_memory_allocated of the process that reserved most",
    "peak-reserved": "PyTorch's max_memory_reserved of the process that reserved most",
    "process-memory": "What all processes had of the card, where CUDA takes the least",
    "headroom": "What stays free of the card at the peak, where CUDA takes the most",
    "does-not-fit": "1 where memory ran out or work was left out for it, 0 where it fits",
    "modelled-step": "An optimizer step, modelled from its kernels",
    "measured-step": "The median optimizer step on a real card",
}


def measures(run: CardRun) -> Iterator[Measure]:
    """All that is known; nothing of a run without an answer about memory."""
    if not run.verdict.is_answer:
        return
    for name, size in (("peak-allocated", run.allocated_bytes), ("peak-reserved", run.reserved_bytes)):
        if size is not None:
            yield Measure(name=name, unit="bytes", value=size, provenance=run.provenance)
    for name, span in (("process-memory", run.process), ("headroom", run.headroom)):
        if span is not None:
            yield Measure(
                name=name,
                unit="bytes",
                value=span.least,
                least=None if span.most is None else span.least,
                most=span.most,
                provenance=run.provenance,
                smaller_is_better=name != "headroom",
            )
    yield Measure(
        name="does-not-fit", unit="of 1", value=int(not run.verdict.fits), provenance=run.provenance
    )
    if run.step is not None:
        yield Measure(
            name="measured-step" if run.step.provenance == "measured" else "modelled-step",
            unit="seconds",
            value=run.step.seconds,
            least=run.step.low,
            most=run.step.high,
            provenance=run.step.provenance,
        )


def refuse_nothing(found: object, what: str) -> None:
    """
    Raises:
        NanocheckError: there is no number, which a reader would take for nothing wrong.
    """
    if not found:
        raise NanocheckError(
            f"expected {what} of at least one run, found none: no run came to an answer about memory",
            hint="--to sarif says why each has none",
        )
