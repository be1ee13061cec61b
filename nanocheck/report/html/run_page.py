"""The page of a run: verdict, figures, picture, tables, then what to know about the numbers."""

from __future__ import annotations

import msgspec

from nanocheck.core.result import How, RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.report import caveats, time_text
from nanocheck.report.html import palette as palettes
from nanocheck.report.html.assets import asset
from nanocheck.report.html.format import mib
from nanocheck.report.html.process_section import sections
from nanocheck.report.html.templating import render_page
from nanocheck.report.rank_rows import imbalance_sentence, rank_rows
from nanocheck.report.run_file import RunFile

_HEADLINES = {
    Kind.SAFE: "Fits on",
    Kind.TIGHT: "Only just fits on",
    Kind.PARTIAL: "Fits so far on",
    Kind.LOST_WORK: "Leaves work out on",
    Kind.INCOMPLETE: "Not seen to its end on",
    Kind.OOM: "Out of memory on",
    Kind.CRASHED: "The script failed before there was an answer for",
    Kind.TIMEOUT: "Time ran out before there was an answer for",
    Kind.UNSUPPORTED: "No answer for",
    Kind.INTERRUPTED: "Interrupted before there was an answer for",
    Kind.NO_GPU: "Nothing here used",
}
_ENDINGS = {
    How.FINISHED: "It ran to its end",
    How.ANSWERED: "It was ended once the answer was known",
    How.FAILED: "It failed",
    How.KILLED: "It was killed",
    How.TIMEOUT: "It was ended by the time limit",
    How.INTERRUPTED: "It was interrupted",
}


def render(run: JudgedRun) -> str:
    """The whole page, ending in a newline. The same run gives the same bytes.

    Args:
        run: of a ``RunFile`` the page also has what further runs found.
    """
    result = run.result
    palette = palettes.of(result.on_every_card)
    headline = f"{_HEADLINES[run.verdict.kind]} {result.device_name or 'this device'}"
    return render_page(
        "run.html",
        title=f"{headline}: {result.id}",
        style=asset("style.css") + palettes.style(),
        script=asset("readout.js"),
        headline=headline,
        verdict=run.verdict,
        result=result,
        sections=sections(result, palette),
        palette=palette,
        ranks=rank_rows(run),
        imbalance=imbalance_sentence(result),
        provenance=caveats.sentence(result.provenance),
        limits=caveats.limits_of_command(
            result.provenance, nccl=any(each.communicators for each in result.processes)
        ),
        environment=_environment(result),
        suggestions=run.suggestions if isinstance(run, RunFile) else None,
        time=_time(run.step_time, result) if isinstance(run, RunFile) else None,
        ended=None if result.ending is None else _ENDINGS[result.ending.how],
    )


def _time(found: StepTime | None, result: RunResult) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "headline": time_text.headline(found, result.device.name),
        "figures": time_text.figures(found, result.main.host_time),
        "kinds": [each for each in found.kinds if each.seconds],
        "notes": [caveats.sentence(found.provenance), *time_text.notes(found, result.main.kernels)],
    }


def _environment(result: RunResult) -> list[tuple[str, str]]:
    """Names and values of what is known of the environment, then of the device."""
    facts = [(name.replace("_", " "), str(value)) for name, value in result.environment.known.items()]
    for name, value in sorted(msgspec.structs.asdict(result.device).items()):
        if value not in (None, "", ()) and name != "notes":  # notes stand among the result's
            words = f"{mib(value)} MiB" if name.endswith("_bytes") else str(value)
            facts.append((f"device {name.removesuffix('_bytes').replace('_', ' ')}", words))
    return facts
