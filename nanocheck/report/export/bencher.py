"""Bencher Metric Format: an object of benchmarks, each an object of measures, with bounds where known.

``lower_value`` and ``upper_value`` are what is known of the number itself: memory with the least and the
largest CUDA context, the 80 % interval of a step's time. Measures go by their slugs, which Bencher makes
where they do not exist; ``docs/formats.md`` says which units to give them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.measures import measures, refuse_nothing


def render(runs: Sequence[CardRun]) -> str:
    """
    Raises:
        NanocheckError: no run came to an answer about memory.
    """
    found: dict[str, dict[str, dict[str, int | float]]] = {}
    for run in runs:
        for each in measures(run):
            metric = {"value": each.value}
            if each.least is not None and each.most is not None:
                metric |= {"lower_value": each.least, "upper_value": each.most}
            found.setdefault(run.title, {})[each.name] = metric
    refuse_nothing(found, "measures")
    return json.dumps(found, indent=1, allow_nan=False) + "\n"
