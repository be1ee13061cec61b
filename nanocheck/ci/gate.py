"""Base and head on every card, and what the change does: the work of the step ``gate``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from nanocheck import __version__
from nanocheck.ci import revisions, runs
from nanocheck.ci.settings import NO_BASE, Settings
from nanocheck.ci.surroundings import Surroundings
from nanocheck.core.gate import Gate, GateRow, reasons_to_fail
from nanocheck.core.rank_runs import machine_name
from nanocheck.core.run_diff import diff
from nanocheck.core.verdict import JudgedRun


def check(settings: Settings, around: Surroundings) -> tuple[Gate, list[JudgedRun]]:
    """What the change does, and the runs of the head.

    Runs everything, the base first: what is prepared for the head is what is left behind.

    Raises:
        RequestError: the base that was asked for is not there.
        MachineError: a file cannot be written.
    """
    before, base, note = _base(settings, around)
    after = runs.run(settings, settings.root, settings.results / "head")
    rows = tuple(
        _row(settings, run, before.runs.get(key) if before is not None else None, note)
        for key, run in after.runs.items()
    )
    failed = reasons_to_fail(settings.fail_on, rows, after.missing, after.tests_exit_code)
    what = "\0".join((settings.name or runs.shown(settings), *(() if settings.name else settings.gpus)))
    found = Gate(
        key=around.key(what),
        nanocheck=__version__,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        head=around.head or revisions.head_of(settings.root),
        base=base,
        base_note=note,
        folder="" if settings.folder == Path() else settings.folder.as_posix(),
        fail_on=settings.fail_on,
        failed=failed,
        tests_exit_code=after.tests_exit_code,
        rows=rows,
        missing=tuple(after.missing),
        notes=_notes(settings, before),
    )
    return found, list(after.runs.values())


def _base(settings: Settings, around: Surroundings) -> tuple[runs.Found | None, str, str]:
    """What ran at the base, its commit, and where that was found or why there is none."""
    if settings.base == NO_BASE:
        return None, "", "none was asked for"
    commit, note = revisions.base_of(settings.root, settings.base, around)
    if not commit:
        return None, "", note
    if commit == revisions.head_of(settings.root):
        return None, "", "the base is the head"
    try:
        with revisions.checked_out(settings.root, commit) as place:
            if not (place / settings.folder).is_dir():
                return None, commit, "the folder is not there at the base"
            found = runs.run(settings, place, settings.results / "base")
    except revisions.GitError as error:
        return None, commit, str(error)
    return found, commit, note


def _row(settings: Settings, head: JudgedRun, base: JudgedRun | None, note: str) -> GateRow:
    gpu = machine_name(head.result)
    reason = "" if base is not None else f"it did not run at the base ({note})"
    if base is not None and _is_mixed(base, settings.root):
        base, reason = None, "the base ran code of the head's checkout"
    return GateRow.of(
        head,
        diff=diff(base, head, settings.allowance) if base is not None else None,
        no_base=reason,
        reproduce=runs.reproduce(settings, gpu),
    )


def _is_mixed(base: JudgedRun, root: Path) -> bool:
    """Whether the base's run used lines of the head's checkout, as with a package installed from there."""
    processes = base.result.processes
    places = [each.where for one in processes for each in one.largest]
    places += [frame.where for one in processes for each in one.stacks for frame in each.frames]
    return any(where is not None and where.startswith(f"{root}{os.sep}") for where in places)


def _notes(settings: Settings, before: runs.Found | None) -> tuple[str, ...]:
    found = []
    if before is not None:
        found += [f"base, {each.gpu}: no answer, {each.why}" for each in before.missing]
        if any(_is_mixed(run, settings.root) for run in before.runs.values()):
            found.append(
                "the base ran code of the head's checkout, a package that is installed from there: nothing "
                "was compared (prepare: pip install -e . installs it anew in each)"
            )
    return tuple(found)
