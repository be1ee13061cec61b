"""``nanocheck diff``, from the command line: two commits for real, and files that no run wrote."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import diff_project
import jsonschema
import msgspec
import pytest
from documents import DOCS, blocks
from made_up import device, oom_result, peaks, result

from nanocheck.cli import main
from nanocheck.core.allocation_change import AllocationChange
from nanocheck.core.config import StepConfig
from nanocheck.core.result import Provenance, RunResult
from nanocheck.core.run_diff import RunDiff, RunDiffs
from nanocheck.core.stack_matching import Match
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun, classify
from nanocheck.report import report_file
from nanocheck.report.report_file import Report, Row
from nanocheck.report.run_file import RunFile
from nanocheck.search.every_card import CardRow, EveryCard


class Ran(NamedTuple):
    """What one ``nanocheck diff --at`` left."""

    code: int
    out: str
    err: str
    found: RunDiffs
    page: str
    app: Path
    states: tuple[tuple[str, ...], tuple[str, ...]]
    left: list[str]

    @property
    def diff(self) -> RunDiff:
        (diff,) = self.found.diffs
        return diff


def state_of(app: Path) -> tuple[str, ...]:
    said = (
        diff_project.git(app, *each)
        for each in (("status", "--short"), ("worktree", "list"), ("stash", "list"))
    )
    return (*said, (app / "model.py").read_text())


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The forgotten copy, on a card on which the training fits without it and does not with it."""
    folder = tmp_path_factory.mktemp("diff")
    app = diff_project.make(folder / "project")
    (folder / "tmp").mkdir()
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.chdir(app)
        patch.setenv("TMPDIR", str(folder / "tmp"))
        patch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        (app / "notes.txt").write_text("git does not know it")
        before = state_of(app)
        words = ["--at", "HEAD", "--reserve", "9600MiB", "--json", "d.json", "--md", "d.md"]
        code = main(["diff", *words, "--", diff_project.PYTHON, "train.py"])
        page, found = (
            Path("d.md").read_text(),
            msgspec.json.decode(Path("d.json").read_bytes(), type=RunDiffs),
        )
        Path("d.md").unlink()
        Path("d.json").unlink()
        after = state_of(app)
    left = [each.name for each in (folder / "tmp").iterdir() if each.name.startswith("nanocheck-")]
    return Ran(code, out.getvalue(), err.getvalue(), found, page, app, (before, after), left)


def test_a_forgotten_copy_of_the_logits_is_named_with_line_and_bytes(ran: Ran) -> None:
    assert ran.code == 1
    copies = [each for each in ran.diff.changes if each.line == diff_project.COPY]
    text = (ran.app / "model.py").read_text().splitlines()
    where = f"app/model.py:{text.index(f'        {diff_project.COPY}') + 1}"
    (copy,) = copies
    assert (copy.match, copy.where, copy.change_bytes) == (Match.ONLY_AFTER, where, diff_project.COPY_BYTES)
    assert copy.frames[0].function == "forward"
    assert copy.frames[1].where == "app/train.py:10"
    assert ran.diff.suspect == copy
    assert f"{where}  {diff_project.COPY}  (+393.00 MiB of logits and loss, at the peak: new)" in ran.out


def test_what_is_named_adds_up_to_the_difference_of_the_peaks(ran: Ran) -> None:
    diff = ran.diff
    assert diff.known
    assert sum(each.change_bytes for each in diff.changes) == diff.explained_bytes == diff.change_bytes
    assert diff.unexplained_bytes == 0
    assert {each.match for each in diff.changes} == {Match.STACK, Match.ONLY_AFTER}


def test_what_does_not_fit_is_measured_where_there_is_room(ran: Ran) -> None:
    diff = ran.diff
    assert (diff.before.verdict, diff.after.verdict) == ("tight", "oom")
    assert (diff.before.in_room, diff.after.in_room) == (False, True)
    assert diff.after.provenance is Provenance.VIRTUAL
    assert ran.out.startswith("fits before, out of memory after: +")
    assert "out of memory after" in ran.page
    assert ran.page.count("app/model.py") >= 3


def test_the_page_shows_what_is_said(ran: Ran) -> None:
    if ran.diff.after.torch != "2.14.1+cu130":
        pytest.skip(f"the page shows what torch 2.14.1 says, this is {ran.diff.after.torch}")
    (shown,) = (text for language, text in blocks(DOCS / "diff.md") if language == "text")
    assert shown.split() == ran.out.split()


def test_the_checkout_is_as_it_was_and_nothing_is_left(ran: Ran) -> None:
    assert ran.states[0] == ran.states[1]
    assert ran.left == []
    assert "lacks 1 file here that git does not know: notes.txt" in ran.err
    text = msgspec.json.encode(ran.found).decode() + ran.page + ran.out
    schema = json.loads((DOCS / "run-diff.schema.json").read_text())
    jsonschema.validate(json.loads(msgspec.json.encode(ran.found)), schema)
    assert str(ran.app.parent.parent) not in text


def _saved(name: str, found: RunResult) -> str:
    Path(name).write_bytes(msgspec.json.encode(RunFile.with_suggestions(JudgedRun.of(found))))
    return name


def _held(line: str, size: int, number: int = 3) -> StackHolding:
    frames = (CodeFrame(where=f"model.py:{number}", function="forward", line=line),)
    return StackHolding(bytes=size, most_bytes=size, count=1, group="activations", frames=frames)


def _grown(more: int) -> RunResult:
    held = (_held("x = f(x)", 8000 * MIB + more),)
    return result(stacks=held, peaks=peaks(allocated=8000 * MIB + more))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compare_says_of_two_runs_what_diff_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = _saved("a.json", _grown(0)), _saved("b.json", _grown(MIB))
    said = {}
    for verb in ("diff", "compare"):
        assert main([verb, before, after, "--json", f"{verb}.json", "--md", f"{verb}.md"]) == 1
        said[verb] = (
            capsys.readouterr().out,
            Path(f"{verb}.md").read_text(),
            json.loads(Path(f"{verb}.json").read_text()),
        )
    assert said["diff"] == said["compare"]
    assert main(["diff", after, before]) == 0  # it shrank
    assert main(["compare", after, before]) == 1  # it moved
    assert main(["diff", before, after, "--fail-above", "1MiB"]) == 0
    assert main(["diff", before, after, "--fail-above", "1048575B"]) == 1
    assert main(["diff", before, after, "--fail-above", "1%"]) == 0


def test_a_side_without_an_answer_is_six(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crashed = _saved("a.json", result(outcome="crashed", detail="it fell over"))
    fits = _saved("b.json", result())
    assert main(["diff", crashed, fits]) == 6
    assert capsys.readouterr().out.startswith("crashed before, fits after\n")
    assert main(["diff", fits, crashed]) == 1


def test_several_cards_are_compared_card_by_card(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def cards(name: str, verdicts: dict[str, RunResult], held: tuple[tuple[StackHolding, ...], ...]) -> str:
        rows = tuple(
            CardRow(
                gpu=gpu,
                name=gpu.upper(),
                capacity_bytes=found.device.capacity_bytes,
                verdict=classify(found),
                allocated_bytes=found.main.allocated_bytes,
                reserved_bytes=found.main.reserved_bytes,
                provenance=found.provenance,
                held=0 if found.outcome == "completed" else None,
            )
            for gpu, found in verdicts.items()
        )
        every = EveryCard(
            command=("python", "train.py"),
            platform="linux",
            reserve_bytes=0,
            complete=True,
            cards=rows,
            not_run=(),
            held=held,
        )
        Path(name).write_bytes(msgspec.json.encode(every))
        return name

    line = _held("y = x.float()", MIB, 4)
    before = cards(
        "a.json", {"h100": _grown(0), "l4": _grown(0), "t4": oom_result()}, (_grown(0).main.stacks,)
    )
    after = cards(
        "b.json",
        {"h100": _grown(MIB), "l4": oom_result(), "a10": _grown(MIB)},
        ((*_grown(0).main.stacks, line),),
    )
    assert main(["diff", before, after, "--json", "d.json"]) == 1
    said = capsys.readouterr().out
    found = msgspec.json.decode(Path("d.json").read_bytes(), type=RunDiffs)
    assert [(each.gpu, each.worse, each.known) for each in found.diffs] == [
        ("h100", True, True),
        ("l4", True, False),
    ]
    assert (found.only_before, found.only_after) == (("t4",), ("a10",))
    assert "model.py:4  y = x.float()" in said
    assert "safe -> oom" in said
    assert "only before: t4" in said
    assert "2 compared: 2 worse, 0 equal" in said


def test_reports_of_the_suites_are_compared_by_configuration(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def report(name: str, *results: RunResult) -> str:
        rows = tuple(Row(result=each, verdict=classify(each)) for each in results)
        found = Report(date="2026-01-02", command="pytest suites/", margin_bytes=512 * MIB, rows=rows)
        Path(name).write_text(report_file.dumps(found))
        return name

    small, large = StepConfig(batch=4), StepConfig(batch=8)
    before = report("a.json", result(small), result(large))
    after = report("b.json", result(small), result(large, peaks=peaks(allocated=9000 * MIB)))
    assert main(["diff", before, before]) == 0
    capsys.readouterr()
    assert main(["diff", before, after]) == 1
    said = capsys.readouterr().out
    assert large.id in said
    assert small.id not in said
    assert "2 compared: 1 worse, 1 equal" in said


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        ([], 2, "expected two files, found 0"),
        (["a.json"], 2, "expected two files, found 1"),
        (["a.json", "b.json"], 2, "expected two files with a card in common, found rtx4070 and h100"),
        (["a.json", "c.json"], 4, "expected a run, runs of several cards or a memory report"),
        (["a.json", "d.json"], 4, "expected a readable file"),
        (["a.json", "a.json", "--fail-above", "lots"], 2, "--fail-above: expected a size"),
        (["--at", "HEAD"], 2, "expected a command after --"),
        (["--at", "HEAD", "--", "true"], 2, "--at: expected a git repository here"),
        (["--at", "a", "--at", "b", "--at", "c", "--", "true"], 2, "expected one revision or two, found 3"),
        (["--at", "a", "--gpu", "all", "--device", "real", "--", "true"], 2, "expected virtual cards"),
        (["--at", "a", "--gpu", "2xh100,l4", "--", "true"], 2, "expected a number before each card"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    problem: str,
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(here.parent))
    _saved("a.json", result())
    _saved("b.json", result(device=device(gpu="h100")))
    Path("c.json").write_text("{}")
    assert main(["diff", *words]) == code
    assert problem in capsys.readouterr().err


def test_text_of_a_script_can_neither_give_orders_nor_break_a_page(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "x = '\x1b[31m|<script>\u202e`](http://a)\n::error::##[error]'"
    held = _held(hostile, MIB)
    moved = msgspec.structs.replace(held, frames=(msgspec.structs.replace(held.frames[0], where="a|<b>`:7"),))
    before = _saved("a.json", _grown(0))
    after = _saved("b.json", result(stacks=(*_grown(0).main.stacks, moved), command=(hostile,), config=None))
    main(["diff", before, after, "--md", "d.md"])
    said, page = capsys.readouterr().out, Path("d.md").read_text()
    for text in (said, page):
        assert not set("\x1b\u202e") & set(text)
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "##[" not in said
    assert "<" not in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} <= {5, 6}
    assert "`" not in page


def test_an_unknown_place_has_words_of_its_own() -> None:
    from nanocheck.report.rank_changes import place

    change = AllocationChange(
        group="rounding",
        match=Match.STACK,
        before_bytes=0,
        after_bytes=1,
        most_before_bytes=0,
        most_after_bytes=1,
        before_count=0,
        after_count=0,
    )
    assert place(change) == "blocks larger than what was asked for"
