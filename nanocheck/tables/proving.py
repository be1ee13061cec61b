"""Are the derived cells what a run on the card itself says? A random sample of them is run."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.result import RunResult
from nanocheck.core.table import Difference, Proof
from nanocheck.core.verdict import Kind, Verdict, classify
from nanocheck.search.scheduler import Search, drive
from nanocheck.tables.filling import Ask, Filled, Known, Submits


def prove(
    filled: Filled,
    configs: Sequence[StepConfig],
    targets: Sequence[Target],
    runner: Submits,
    *,
    sample: int,
    seed: int,
    margin_bytes: int,
) -> Proof:
    """Run so many derived cells, drawn at random, on their own cards; all, where there are not so many.

    Raises:
        MachineError: nothing can be started here.
        KeyboardInterrupt: it was interrupted.
    """
    by_config, by_gpu = {each.id: each for each in configs}, {each.gpu.id: each for each in targets}
    derived = [key for key, known in filled.cells.items() if known.own is None]
    drawn = random.Random(seed).sample(sorted(derived), min(sample, len(derived)))
    runs: dict[tuple[str, str], RunResult] = {}

    def one(key: tuple[str, str]) -> Search[Ask, RunResult]:
        (runs[key],) = yield [Ask(by_config[key[0]], by_gpu[key[1]])]

    drive(runner, [one(key) for key in drawn])
    return compared({key: filled.cells[key] for key in drawn}, runs, seed=seed, margin_bytes=margin_bytes)


def compared(
    derived: Mapping[tuple[str, str], Known],
    runs: Mapping[tuple[str, str], RunResult],
    *,
    seed: int,
    margin_bytes: int,
) -> Proof:
    """What was derived, beside the runs of the same cells."""
    differences, fit = [], 0
    for (setting, gpu), known in derived.items():
        run = runs[setting, gpu]
        found = classify(run, margin_bytes)
        fit += found.fits
        if not _equal(known.verdict, found, known.roomy, run):
            differences.append(
                Difference(
                    setting=setting,
                    gpu=gpu,
                    derived=_words(known.verdict, known.roomy),
                    run=_words(found, run),
                )
            )
    return Proof(sample=len(runs), fit=fit, seed=seed, differences=tuple(differences))


def _equal(derived: Verdict, found: Verdict, roomy: RunResult, run: RunResult) -> bool:
    if derived.kind is Kind.OOM:  # where it died is not derived
        return found.kind is Kind.OOM
    return derived == found and roomy.main.peaks == run.main.peaks and roomy.main.retries == run.main.retries


def _words(verdict: Verdict, result: RunResult) -> str:
    main = result.main
    return f"{verdict}; {main.allocated_bytes:,} bytes allocated, {main.reserved_bytes:,} reserved"
