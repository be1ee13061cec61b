"""Sides that say what a test wants, and files of verifications that nobody ran."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from nanocheck.core.result import Environment, Outcome, Provenance
from nanocheck.core.steadiness import Load, Seconds
from nanocheck.verify.cases import Case, load_cases
from nanocheck.verify.observed import Observed, PhasePeak
from nanocheck.verify.record import CardFacts, VerifyFile
from nanocheck.verify.step_time import Modelled, StepTime
from nanocheck.verify.verification import Clock, verify

CARD = CardFacts(
    name="NVIDIA H100 80GB HBM3",
    capability="9.0",
    multiprocessors=132,
    threads_per_multiprocessor=2048,
    usable_bytes=85017755648,
    l2_bytes=52428800,
    shared_per_block_optin_bytes=232448,
)
CASES = load_cases()[:4]
STEP = StepTime(
    provenance=Provenance.MEASURED,
    seconds=Seconds.of([0.0123] * 20),
    settled=True,
    load=Load(power_w=431.0),
)
MODELLED = Modelled(seconds=0.011, low_s=0.0105, high_s=0.0143, host_s=0.004, decided_by="card")
LEAST, MOST = 568 << 20, 678 << 20


def observed(provenance: Provenance = Provenance.VIRTUAL, **changes: Any) -> Observed:
    """A side that completed; what is read at its end is inside every range."""
    return replace(
        Observed(
            provenance=provenance,
            outcome=Outcome.COMPLETED,
            phases=(
                PhasePeak(phase="forward", allocated_bytes=400 << 20, reserved_bytes=600 << 20),
                PhasePeak(phase="backward", allocated_bytes=500 << 20, reserved_bytes=600 << 20),
            ),
            allocated_bytes=500 << 20,
            reserved_bytes=600 << 20,
            process_bytes=(600 << 20) + LEAST,
            context_bytes=LEAST,
            usable_bytes=CARD.usable_bytes,
            attention="flash",
            seconds=1.5,
        ),
        **changes,
    )


def measured(**changes: Any) -> Observed:
    """The same by a real card, whose context is somewhere inside the range."""
    held = {"process_bytes": (600 << 20) + LEAST + 12345, "context_bytes": LEAST + 12345}
    return observed(Provenance.MEASURED, **{**held, **changes})


def begun(**changes: Any) -> VerifyFile:
    """A file without rows."""
    return replace(
        VerifyFile(
            stand_in=False,
            date="2026-11-26",
            gpu="h100",
            card=CARD,
            virtual_card=CARD,
            context_least_bytes=LEAST,
            context_most_bytes=MOST,
            others_bytes=0,
            driver="580.65.06",
            environment=Environment(nanocheck="0.1.0", torch="2.11.0+cu130", cuda="13.0"),
        ),
        **changes,
    )


def of_rows(*pairs: tuple[Observed | None, Observed | None], **changes: Any) -> VerifyFile:
    """A file of these (real, virtual) sides, under the names of the first cases."""
    file = begun(**changes)
    rows = [file.row_of(case.id, case.tries, *pair) for case, pair in zip(load_cases(), pairs, strict=False)]
    return replace(file, rows=tuple(rows))


class FakeSide:
    """Says what ``answer`` says; keeps what it was asked."""

    def __init__(self, answer: Callable[[Case], Observed]) -> None:
        self._answer = answer
        self.ran: list[str] = []
        self.timed: list[str] = []
        self.modelled: list[str] = []

    def run(self, case: Case, limit_s: float) -> Observed:
        self.ran.append(case.id)
        return self._answer(case)

    def time(self, case: Case, limit_s: float) -> StepTime:
        self.timed.append(case.id)
        return STEP

    def model(self, case: Case, limit_s: float) -> Modelled | None:
        self.modelled.append(case.id)
        return MODELLED


def verified(
    real: Any, virtual: Any, *, cases: Sequence[Case] = CASES, clock: Clock | None = None
) -> tuple[VerifyFile, list[VerifyFile]]:
    """The file, and what was kept on the way."""
    kept: list[VerifyFile] = []
    found = verify(
        cases,
        begun(),
        real,
        virtual,
        clock=clock or Clock(8),
        keep=kept.append,
        show=lambda *_: None,
    )
    return found, kept
