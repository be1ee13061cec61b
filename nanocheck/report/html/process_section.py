"""What the page shows of one process, made ready for ``templates/process.html``."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.result import ProcessMemory, RunResult
from nanocheck.report.html import gauge, timeline_figure
from nanocheck.report.html.gauge import Gauge
from nanocheck.report.html.palette import Palette
from nanocheck.report.html.timeline_figure import TimelineFigure
from nanocheck.report.rank_rows import in_full


@dataclass(frozen=True, kw_only=True)
class ProcessSection:
    """One process of a run.

    Attributes:
        number: from 1, in the result's order; makes ids of the page unique.
        only: the run has no other. The headroom of the card is nobody's alone otherwise.
        on_several: the process had several cards, and this is one of them.
        gauge: None for a device without memory. figure: None where the process never held any.
        full_bar_bytes: what a full bar of its phases stands for.
    """

    memory: ProcessMemory
    number: int
    only: bool
    on_several: bool
    gauge: Gauge | None
    figure: TimelineFigure | None
    full_bar_bytes: int

    @property
    def missing_bytes(self) -> int:
        """By how much the request that failed was larger than what was free; 0 where that is not known."""
        oom = self.memory.oom
        if oom is None or oom.free_bytes is None:
            return 0
        return max(0, oom.requested_bytes - oom.free_bytes)


def sections(result: RunResult, palette: Palette) -> list[ProcessSection]:
    """One for each process that is shown in full, see ``in_full``."""
    on_several = {each.pid for each in result.processes if each.other_cards}
    return [
        ProcessSection(
            memory=process,
            number=number,
            only=len(result.processes) == 1 and process.pid not in on_several,
            on_several=process.pid in on_several,
            gauge=gauge.of(process, result.device_of(process.card)),
            figure=timeline_figure.of(process, result.device_of(process.card), palette),
            full_bar_bytes=max(process.reserved_bytes, result.device_of(process.card).available_bytes, 1),
        )
        for number, process in enumerate(in_full(result), 1)
    ]
