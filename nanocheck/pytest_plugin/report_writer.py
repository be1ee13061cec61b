"""Where the report of a card goes: the project's own folder, a folder beside it, a job summary.

The committed report is written again only where a byte or a verdict differs: a date, or the last digit of a
loss on another processor, is no reason to change a file.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from nanocheck.core.baselines import Expected
from nanocheck.core.device import Device
from nanocheck.core.errors import MachineError, StoredDataError
from nanocheck.core.files import write_atomically
from nanocheck.core.units import MIB
from nanocheck.pytest_plugin.settings import Settings
from nanocheck.report import ci_summary, report_file, training_section
from nanocheck.report.report_file import Report
from nanocheck.report.workflow_commands import SUMMARY_LIMIT_BYTES


def report_name(device: Device) -> str:
    """The report's file name: the card's id, and what else decides how much memory there is."""
    name = device.gpu
    if device.platform != "linux":
        name += f"-{device.platform}"
    if device.reserve_bytes:
        name += f"-reserve{device.reserve_bytes / MIB:g}MiB"
    if device.capped_from:
        name += "-capped"
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)


def with_stored_sections(report: Report, settings: Settings) -> Report:
    """What this run did not ask stays as the stored report has it."""
    stored = _stored(settings.reports / f"{report_name(report.rows[0].result.device)}.json")
    known = {} if stored is None else {each.title: each for each in stored.sections}
    found = {**known, **{each.title: each for each in report.sections}}
    return msgspec.structs.replace(report, sections=tuple(found[title] for title in sorted(found)))


def write(report: Report, settings: Settings) -> str:
    """Writes the report as a page and as data, and says where.

    Raises:
        MachineError: it cannot be written.
    """
    from nanocheck.report import memory_report  # pandas: only once there is something to report

    replaces = report.whole and settings.own_matrix
    name = f"{report_name(report.rows[0].result.device)}.md"
    kept = settings.reports / name
    path = kept if replaces else settings.journal / "reports" / name
    stored = _stored(kept.with_suffix(".json")) if replaces else None
    if stored is not None and kept.is_file() and says_the_same(stored, report):
        return f"report: {settings.relative(kept)} (of {stored.date}; nothing differs)"
    write_atomically(path, memory_report.render(report))
    write_atomically(path.with_suffix(".json"), report_file.dumps(report))
    if replaces:
        return f"report: {settings.relative(path)}"
    part = "another matrix" if report.whole else "a part of the matrix"
    return f"report on {part}: {settings.relative(path)} ({settings.relative(kept)} was not replaced)"


def says_the_same(stored: Report, found: Report) -> bool:
    """Whether two reports agree in every byte of memory, every verdict and every sentence on claims.

    What was computed by training may differ in its last digits from one processor to another: there the runs
    must be the same ones.
    """
    return _memory(stored) == _memory(found) and _sections(stored) == _sections(found)


def _memory(report: Report) -> object:
    rows = [
        (
            (row.id, row.why, row.result.provenance, row.result.notes),
            (row.verdict.kind, row.verdict.headroom_bytes, Expected.of(row.result)),
        )
        for row in report.rows
    ]
    facts = {(each.torch, each.cuda) for each in report.environments}
    return rows, facts, report.devices, report.margin_bytes, report.command


def _sections(report: Report) -> object:
    return [
        (each.title, [row[0] for row in each.cells])
        if each.title == training_section.TITLE
        else (each.title, each.columns, each.cells)
        for each in report.sections
    ]


def _stored(path: Path) -> Report | None:
    try:
        return report_file.load(path)
    except StoredDataError:  # none yet, or damaged: this run writes it anew
        return None


def write_job_summary(report: Report) -> None:
    """Adds the page to GitHub's job summary, where GitHub runs this.

    Raises:
        MachineError: it cannot be written.
    """
    from nanocheck.report import memory_report

    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    path = Path(target)
    page = memory_report.render(report)
    try:
        used = path.stat().st_size if path.exists() else 0
        room = SUMMARY_LIMIT_BYTES - 1 - used
        with path.open("a", encoding="utf-8") as stream:
            stream.write(ci_summary.job_summary(report, page, room_bytes=room))
    except OSError as error:
        raise MachineError(f"GITHUB_STEP_SUMMARY: cannot write {path}: {error.strerror or error}") from error
