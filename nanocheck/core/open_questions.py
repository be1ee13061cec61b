"""What was seen of a run by which a later step may need more: reasons why it is not plainly safe."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.core.coverage import LaterStep
from nanocheck.core.process_memory import ProcessMemory
from nanocheck.core.result import RunResult


def open_questions(result: RunResult) -> list[str]:
    """Of a run that we stopped, of steps that never came, and of sizes that were decided here; [] of none."""
    return [each for process in result.processes for each in _of_a_process(process)]


def _of_a_process(process: ProcessMemory) -> list[str]:
    coverage, found = process.coverage, []
    if coverage is None:
        return []
    if process.sizes in ("balanced", "least"):
        sizes = "size" if process.unknown_sizes == 1 else "sizes"
        found.append(f"{process.unknown_sizes:,} {sizes} may be larger than was taken (--sizes worst)")
    if process.unbounded_sizes:
        one = process.unbounded_sizes == 1
        sizes = "size that nothing bounds was" if one else "sizes that nothing bounds were"
        found.append(f"{process.unbounded_sizes:,} {sizes} taken to be one")
    if coverage.idle_optimizers:
        found.append(_idle(coverage.idle_optimizers))
    if not coverage.stopped_early:
        return found
    if coverage.shapes_vary and coverage.longest_batches != "arranged":
        largest = " x ".join(map(str, coverage.shapes_seen[-1]))
        found.append(f"the inputs vary in shape, and the largest seen was {largest} (--full, --longest)")
    if coverage.growth_bytes_per_step:
        found.append(f"memory grows by {coverage.growth_bytes_per_step:,} bytes a step (--full)")
    if coverage.proof == "not settled":
        found.append("the peak had not come to rest (--full)")
    if coverage.unreached:
        what = " or ".join({"eval": "evaluation", "save": "saving"}[each] for each in coverage.unreached)
        found.append(f"its code names {what}, which did not come (--cover {','.join(coverage.unreached)})")
    if coverage.later:
        found.append(_later(coverage.later))
    return found


def _idle(places: Sequence[str]) -> str:
    """Why what was seen is less than a training."""
    several = len(places) > 1
    more = f", and {len(places) - 1} more," if several else ""
    whose = "their" if several else "its"
    made = f"the optimizer made at {places[0]}{more}"
    return f"{made} never stepped with a gradient: {whose} state and what a step needs are in no figure"


def _later(several: Sequence[LaterStep]) -> str:
    """The earliest, how many more there are, and the option that shows them all."""
    first, more = several[0], len(several) - 1
    when = f"in iteration {first.iteration:,} of its loop"
    what = f"{first.where} first runs {when}"
    if first.text:
        most = f", later to {first.most:,}" if first.most > first.value else ""
        what = f"`{first.text}` at {first.where} grows from {first.now:,} to {first.value:,} {when}{most}"
    others = f", with {more} more such {'line' if more == 1 else 'lines'}" if more else ""
    settled = max(each.steps for each in several) if all(each.steps for each in several) else 0
    option = f"--steps {settled}" if settled else "--full"
    return f"{what}{others} ({option})"
