"""For github-action-benchmark: an array of numbers, all of which are better smaller, or all larger.

Its custom tools read ``name``, ``unit`` and ``value``, and show ``range`` and ``extra`` as they are. Names
stand in a Markdown table of a comment, between backticks: neither those nor a table's border may be in one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.measures import Measure, measures, refuse_nothing

_MARKUP = str.maketrans({"`": "'", "|": "\N{BROKEN BAR}"})


def smaller(runs: Sequence[CardRun]) -> str:
    """For the tool ``customSmallerIsBetter``: peaks, process memory, step times, and whether it fits.

    Raises:
        NanocheckError: no run came to an answer about memory.
    """
    return _render(runs, smaller_is_better=True)


def bigger(runs: Sequence[CardRun]) -> str:
    """For the tool ``customBiggerIsBetter``: headroom.

    Raises:
        NanocheckError: no run came to its end.
    """
    return _render(runs, smaller_is_better=False)


def _render(runs: Sequence[CardRun], *, smaller_is_better: bool) -> str:
    found = [
        _entry(run, each)
        for run in runs
        for each in measures(run)
        if each.smaller_is_better is smaller_is_better
    ]
    refuse_nothing(found, "peaks" if smaller_is_better else "headroom")
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def _entry(run: CardRun, each: Measure) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{run.title}: {each.name}".translate(_MARKUP),
        "unit": each.unit,
        "value": each.value,
    }
    if each.least is not None and each.most is not None:
        entry["range"] = f"{each.least} to {each.most}"
    about = [
        f"provenance: {each.provenance}",
        f"verdict: {run.verdict.kind.value}",
        f"card: {run.card}",
        *(f"{name}: {value}" for name, value in run.versions),
    ]
    entry["extra"] = "\n".join(about).translate(_MARKUP)
    return entry
