"""OpenMetrics text: for Prometheus, and for the metrics report of a GitLab merge request.

The labels of a number are those that do not change when it does: GitLab compares by name and labels. Versions
and the verdict stand in ``nanocheck_run_info``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.measures import MEANINGS, Measure, measures

_Samples: TypeAlias = list[tuple[dict[str, str], int | float]]
_UNITS = {"bytes": "bytes", "seconds": "seconds"}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render(runs: Sequence[CardRun]) -> str:
    """The whole text; a run without an answer about memory has only its verdict."""
    lines = [
        "# TYPE nanocheck_run info",
        "# HELP nanocheck_run Verdict and versions of a run.",
        *(f"nanocheck_run_info{_labels(_info(run))} 1" for run in runs),
    ]
    for name, meaning in MEANINGS.items():
        found = [(run, each) for run in runs for each in measures(run) if each.name == name]
        for family, text, samples in _families(name, meaning, found):
            if samples:
                unit = family.rpartition("_")[2]
                lines += [f"# TYPE {family} gauge", f"# HELP {family} {text}."]
                lines += [f"# UNIT {family} {unit}"] * (unit in _UNITS)
                lines += [f"{family}{_labels(labels)} {value!r}" for labels, value in samples]
    return "\n".join([*lines, "# EOF", ""])


def _families(
    name: str, meaning: str, found: Sequence[tuple[CardRun, Measure]]
) -> Iterator[tuple[str, str, _Samples]]:
    """Name, help and samples: of the value, and of the ends of what is known as a range."""
    if not found:
        return
    unit = _UNITS.get(found[0][1].unit)
    stem, end = f"nanocheck_{name.replace('-', '_')}", f"_{unit}" if unit else ""
    yield f"{stem}{end}", meaning, [(_of(run, each), each.value) for run, each in found]
    for which in ("least", "most"):
        ends = [(_of(run, each), getattr(each, which)) for run, each in found]
        samples: _Samples = [(labels, value) for labels, value in ends if value is not None]
        if which == "least" and all(each.least in (None, each.value) for _, each in found):
            continue  # the value is the least
        yield f"{stem}_{which}{end}", f"The {which} that {stem}{end} may be", samples


def _of(run: CardRun, each: Measure) -> dict[str, str]:
    return {"run": run.name, "card": run.place, "provenance": each.provenance}


def _info(run: CardRun) -> dict[str, str]:
    labels = {"run": run.name, "card": run.place, "provenance": run.provenance}
    labels |= {"card_name": run.card, "platform": run.platform, "verdict": run.verdict.kind.value}
    return labels | dict(run.versions)


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items()) + "}"
