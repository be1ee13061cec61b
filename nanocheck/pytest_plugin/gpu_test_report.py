"""What a project's own test says of its run: why it fails, who held the memory, and its properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanocheck.core.units import mib
from nanocheck.pytest_plugin.gpu_test_child import Said

if TYPE_CHECKING:
    from nanocheck.core.verdict import JudgedRun

_LARGEST = 5


def problem_of(run: JudgedRun, said: Said, *, must_fit: bool) -> str | None:
    """Why the test fails, or None."""
    from nanocheck.core.verdict import Kind, describe_oom

    kind, name = run.verdict.kind, run.result.device_name
    if said.outcome == "skipped" and run.result.main.ooms == 0:
        return None
    if run.result.oom is not None and said.outcome != "passed":
        # For what observes it, pytest has caught it.
        return f"expected it to fit {name}, found oom: {describe_oom(run.result.oom)}\n{_holders(run)}"
    if kind is Kind.OOM or (must_fit and said.outcome == "passed" and kind is not Kind.SAFE):
        return f"expected it to fit {name} safely, found {kind}: {run.verdict.sentence}\n{_holders(run)}"
    if said.outcome != "passed":
        return (
            said.text
            or f"expected it to say how it went on {name}, found that it ended before: {run.verdict}"
        )
    if not run.verdict.is_answer:
        return f"expected it to be observed on {name}, found {run.verdict}"
    return None


def _holders(run: JudgedRun) -> str:
    """Each rank, and the largest allocations at the peak, or when it ran out of memory."""
    main, rows = run.result.main, _ranks(run)
    if run.result.oom is not None:
        main = next(each for each in run.result.on_every_card if each.oom is run.result.oom)
    held = main.oom.alive if main.oom is not None and main.oom.alive else main.largest
    rows += [f"{'MiB':>12}  largest then"]
    for each in held[:_LARGEST]:
        many = f" x {each.count}" if each.count > 1 else ""
        line = f"  {each.line.strip()}" if each.line else ""
        rows.append(f"{mib(each.bytes):>12}  {each.group}{many}  {each.where or '?'}{line}")
    return "\n".join(rows)


def _ranks(run: JudgedRun) -> list[str]:
    """A line for each rank, and for each card of a process on several; [] where neither is so."""
    from nanocheck.core.ranks import need
    from nanocheck.report.rank_rows import rank_rows

    return [
        f"{mib(need(row.memory)):>12}  {f'rank {row.name} on ' if row.name else ''}card {row.card}"
        + (f": {row.kind}" if row.kind is not None else "")
        for row in rank_rows(run)
    ]


def properties_of(run: JudgedRun) -> dict[str, object]:
    from nanocheck.core.rank_runs import machine_name

    main = run.result.main
    return {
        "gpu": machine_name(run.result),
        "provenance": run.result.provenance.value,
        "verdict": run.verdict.kind.value,
        "peak_allocated_bytes": main.allocated_bytes,
        "peak_reserved_bytes": main.reserved_bytes,
    }
