"""The report as a page: the answer first, then what died where, then every row, then how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nanocheck.core.result import OutOfMemory
from nanocheck.core.scrub import scrub
from nanocheck.core.units import mib
from nanocheck.report import caveats
from nanocheck.report.largest_batch_table import (
    ALLOCATOR_WORDS,
    COMPILE_WORDS,
    CYCLE_WORDS,
    NONE,
    answer_frame,
    best_sentence,
)
from nanocheck.report.markdown_cells import escape, frame_of, table
from nanocheck.report.report_file import Report, Row, model_name

_STAGES = ("build", "resume", "evaluation", "forward", "backward", "optimizer", "sample", "checkpoint")
_LEGEND = (
    ("safe", "it completed without an allocator retry and at least the margin stays free"),
    ("tight", "it completed, but only after allocator retries, or less than the margin stays free"),
    ("oom", "it ran out of memory"),
    ("crashed, timeout, unsupported", "no answer about memory"),
    ("headroom", "capacity - reserve - peak reserved - the most that CUDA itself takes"),
    (
        "baseline",
        "equal, regressed, improved (fails until accepted), missing, drifted (of another environment: only "
        "the verdict is held), stale (of another environment, which lacks this configuration)",
    ),
)


def render(report: Report) -> str:
    """The whole page, ending in a newline."""
    parts = [_opening(report), *_answer(report), *_stages(report), *_deaths(report), *_no_answers(report)]
    for section in report.sections:
        parts += section.render()
    parts += [*_every_row(report), *_notes(report), *_frame(report)]
    return scrub("\n\n".join(part for part in parts if part)) + "\n"


def _opening(report: Report) -> str:
    words = [f"**{name}**: {caveats.describe(name)}" for name in report.provenances]
    counts = ", ".join(f"{count} {kind}" for kind, count in report.counts().items()) or "nothing ran"
    mixed = (
        "\n\n**Numbers of different provenance stand in this report: look at the column.**"
        if len(words) > 1
        else ""
    )
    part = "" if report.whole else "\n\n**Only a part of the matrix ran.**"
    return (
        f"# Is it safe on {escape(report.card)}?\n\n"
        f"{counts}, of {len(report.rows)} configurations. {'; '.join(words)}."
        f" {escape(report.date)}.{mixed}{part}"
    )


def _answer(report: Report) -> list[str]:
    frame = answer_frame(report.rows)
    if frame.empty:
        return []
    parts = ["## In ten seconds"]
    for model, lines in frame.groupby("model", sort=False):
        own = [row for row in report.rows if model_name(row.config) == model]
        parts += [f"### {escape(model)}", f"**{escape(best_sentence(own))}**"]
        parts.append(table(lines.drop(columns="model")))
    return parts


def _stages(report: Report) -> list[str]:
    """Peak of each stage of the runs that do more than train: late out-of-memory errors come from there."""
    rows = []
    for row in report.rows:
        stages = {phase: allocated for phase, (allocated, _) in row.result.main.phase_peaks().items()}
        if row.config.cycle != "train" and stages:
            cells = {name: mib(stages[name]) if name in stages else NONE for name in _STAGES}
            rows.append({"configuration": row.id, **cells, "provenance": row.provenance})
    if not rows:
        return []
    text = "Peak allocated in each stage, in MiB, until the end or until it died."
    return ["## Stage by stage", text, table(frame_of(rows), right=_STAGES)]


def _deaths(report: Report) -> list[str]:
    rows = [
        {
            "configuration": row.id,
            "asked for (MiB)": ("" if oom.exact else "about ") + mib(oom.requested_bytes),
            "bytes": f"{oom.requested_bytes:,}",
            "phase": oom.phase,
            "step": oom.step,
            "shape": NONE if oom.shape is None else str(oom.shape),
            "line": _line(oom),
            "provenance": row.provenance,
        }
        for row in report.rows
        if (oom := row.result.oom) is not None
    ]
    if not rows:
        return []
    return ["## What died where", table(frame_of(rows), right=("asked for (MiB)", "bytes", "step"))]


def _line(oom: OutOfMemory) -> str:
    """Where and what; generated code has no place worth naming."""
    # Without the line's number: it moves with every edit of the file, and the report with it.
    file = None if oom.where is None else oom.where.rpartition(":")[0]
    return ": ".join(part for part in (file, oom.line) if part) or NONE


def _no_answers(report: Report) -> list[str]:
    rows = [
        {
            "configuration": row.id,
            "verdict": row.verdict.kind.value,
            "why": str(row.verdict),
        }
        for row in report.rows
        if not row.verdict.is_answer
    ]
    return ["## No answer", table(frame_of(rows))] if rows else []


def _every_row(report: Report) -> list[str]:
    if not report.rows:
        return []
    parts = ["## Every configuration"]
    frame = frame_of([_full_row(row) for row in report.rows])
    keys = ["model", "precision", "compile"]
    for (model, precision, compiled), lines in frame.groupby(keys, sort=False):
        parts.append(f"### {escape(model)}, {escape(precision)}, {escape(compiled)}")
        parts.append(
            table(
                lines.drop(columns=keys),
                right=(
                    "batch",
                    "accumulation",
                    "peak allocated (MiB)",
                    "peak reserved (MiB)",
                    "headroom (MiB)",
                    "retries",
                ),
            )
        )
    return parts


def _full_row(row: Row) -> dict[str, object]:
    config, main = row.config, row.result.main
    ran = bool(main.peaks)
    headroom = row.verdict.headroom_bytes
    variant = [CYCLE_WORDS[config.cycle]] if config.cycle != "train" else []
    variant += [ALLOCATOR_WORDS[config.allocator]] if config.allocator != "default" else []
    variant += [f"{config.sharding} of {config.ranks} ranks"] if config.ranks > 1 else []
    variant += [config.optimizer] if config.optimizer != "adamw-fused" else []
    return {
        "model": model_name(config),
        "precision": config.dtype,
        "compile": COMPILE_WORDS[config.compile],
        "batch": config.batch,
        "accumulation": config.accumulation,
        "variant": ", ".join(variant) or NONE,
        "verdict": row.verdict.kind.value,
        "peak allocated (MiB)": mib(main.allocated_bytes) if ran else NONE,
        "peak reserved (MiB)": mib(main.reserved_bytes) if ran else NONE,
        "headroom (MiB)": NONE if headroom is None else mib(headroom),
        "peak in": main.peak_phase or NONE,
        "retries": main.retries,
        "attention": main.attention,
        "baseline": NONE if row.comparison is None else row.comparison.kind.value,
        "provenance": row.provenance,
        "configuration": row.id,
    }


def _notes(report: Report) -> list[str]:
    text: dict[str, list[str]] = {}
    for row in report.rows:
        for note in row.result.notes:
            text.setdefault(note, []).append(row.id)
    if not text:
        return []
    lines = [f"- {escape(note)} ({_some(ids)})" for note, ids in text.items()]
    return ["## Notes", "\n".join(lines)]


def _some(ids: Sequence[str], limit: int = 5) -> str:
    rest = f" and {len(ids) - limit} more" if len(ids) > limit else ""
    return ", ".join(map(escape, ids[:limit])) + rest


def _frame(report: Report) -> list[str]:
    parts = ["## Environment"]
    facts = [
        {"what": name.removesuffix("_bytes"), "value": _value(name, value)}
        for each in (*report.devices, *report.environments)
        for name, value in sorted(msgspec.structs.asdict(each).items())
        if value is not None and value != ""
    ]
    facts.append({"what": "margin", "value": f"{mib(report.margin_bytes)} MiB"})
    facts.append({"what": "date", "value": report.date})
    parts.append(table(frame_of(facts)))
    parts += ["## Limits", "\n".join(f"- {text}" for text in caveats.limits_of_suite())]
    parts += ["## To reproduce", f"```\n{' '.join(report.command.replace('`', '').split())}\n```"]
    parts += ["## Legend", "\n".join(f"- **{word}**: {meaning}" for word, meaning in _LEGEND)]
    words = "; ".join(f"**{word}**: {meaning}" for word, meaning in caveats.PROVENANCE.items())
    parts.append(f"Provenance: {words}.")
    return parts


def _value(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{mib(value)} MiB"
    return str(value)
