"""Texts of strangers in what we print: neither a terminal nor the log of a CI service obeys any of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import oom_result, result
from made_up_recordings import recorded, recording, trace, with_loss

from nanocheck.cli import main
from nanocheck.core.comparison import Comparison, ComparisonKind
from nanocheck.core.config import StepConfig
from nanocheck.core.messages import say
from nanocheck.core.result import Group, Holding, Moment
from nanocheck.core.scrub import disarm, disarm_json, scrub
from nanocheck.core.verdict import JudgedRun, classify
from nanocheck.numerics import recording as recordings
from nanocheck.report import console, report_file, terminal
from nanocheck.report.blocks import prose
from nanocheck.report.section import Section

#: Commands to a log at every place where one might begin, orders to a terminal, and half a character.
HOSTILE = (
    "::warning::a\n::error::b\r\n  ::add-mask::c\r::group::d\u2028::debug::e ##[error]f ##vso[task.set]g\n"
    "##teamcity[h]\x1b]0;title\x07\x1b[2J\u202egpj\x9b2J\ud800\x00 ###[i]"
)
#: Half a character in a key is refused: ``strict_text``.
KEY = HOSTILE.replace("\ud800", "")
#: A line of GitHub's log, or of another service's, that is a command; their readers skip space before it.
COMMAND = re.compile(r"^\s*::|##\w*\[", re.MULTILINE)


def harmless(text: str) -> bool:
    """Nothing in it is obeyed."""
    lines = re.split("[\r\n\u2028\u2029\x85]", text)
    return not any(COMMAND.search(line) for line in lines) and all(line.isprintable() for line in lines)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(words)
    found = capsys.readouterr()
    return code, found.out + found.err


@given(st.text(st.sampled_from(":#[]ab \n\t\u2003"), max_size=40))
def test_only_spaces_are_added_and_only_to_commands(text: str) -> None:
    found = disarm(text)
    assert COMMAND.search(found) is None
    assert disarm(found) == found
    assert re.sub(r"\s", "", found) == re.sub(r"\s", "", text)
    if COMMAND.search(text) is None:
        assert found == text


@given(st.recursive(st.text("#[]ab:\\"), lambda inner: st.dictionaries(st.text("#[a\\"), inner)))
def test_json_keeps_its_value(value: object) -> None:
    found = disarm_json(json.dumps(value, indent=1))
    assert COMMAND.search(found) is None
    assert json.loads(found) == value


@given(st.text(), st.integers(1, 130))
def test_what_is_laid_out_begins_no_line_with_a_command(text: str, width: int) -> None:
    """Wherever the line is broken."""
    words = f"{text} {'x' * (width % 97)} ::warning::{text} ##[error] {HOSTILE}"
    assert harmless(console.as_text([prose(words), prose(words, indent=4, hanging=2)], width))


def test_a_word_that_comes_first_only_where_the_line_is_broken() -> None:
    text = console.as_text([prose("a" * 95, " ::warning::b")], 100)
    assert text.splitlines() == ["a" * 95, ": :warning::b"]


def test_messages_beside_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    assert harmless(capsys.readouterr().err)


@pytest.mark.parametrize("width", [40, 80, 1000])
def test_the_answer_of_a_run(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exceptions, source lines, paths, commands, notes and groups are the script's own words."""
    monkeypatch.setenv("COLUMNS", str(width))
    place = {"where": f"/a/{HOSTILE}.py:3", "line": HOSTILE}
    held = Holding(bytes=512, count=2, group=HOSTILE, shape=(2, 64), **place)
    fields = {
        "at": Moment(phase=HOSTILE, step=1, **place),
        "groups": (Group(group=HOSTILE, bytes=512),),
        "largest": (held,),
        "notes": (HOSTILE, HOSTILE),
        "command": (HOSTILE, HOSTILE),
    }
    dead = oom_result(**fields)
    worse = msgspec.structs.replace(dead.oom, alive=(held,), message=HOSTILE, phase=HOSTILE, **place)
    runs = [
        result(**fields),
        result(outcome="crashed", detail=HOSTILE, **fields),
        msgspec.structs.replace(dead, processes=(msgspec.structs.replace(dead.main, oom=worse),)),
    ]
    for run in runs:
        console.say(terminal.render(JudgedRun.of(run)))
        assert harmless(capsys.readouterr().err)


def test_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = recorded(with_loss(trace(), 1, 1.0), reference=HOSTILE)
    lost = recorded(None, name=HOSTILE, trace=None, error=None, failed=HOSTILE)
    here = recording(recorded(), recorded(name=HOSTILE), torch=HOSTILE)
    there = recording(moved, lost, recorded(name=HOSTILE + "2"), torch="2.14")
    odd = {KEY: HOSTILE, "device": HOSTILE}
    there = replace(there, environment={**there.environment, **odd}, date=HOSTILE)
    for name, found in (("a.json", here), ("b.json", there)):
        (tmp_path / name).write_text(recordings.dumps(found))
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    code, text = said(capsys, "compare", *paths, "--md", str(tmp_path / "page.md"))
    assert code == 1
    assert harmless(text)
    assert COMMAND.search((tmp_path / "page.md").read_text()) is None
    # Damaged by what stands in it.
    data = json.loads((tmp_path / "a.json").read_text())
    for change in (
        {"schema": HOSTILE},
        {"runs": [{KEY: 1}]},
        {"runs": HOSTILE},
        {"kind": HOSTILE},
        {HOSTILE: 1},
    ):
        (tmp_path / "c.json").write_text(json.dumps({**data, **change}))
        code, text = said(capsys, "compare", paths[0], str(tmp_path / "c.json"))
        assert code == 4
        assert harmless(text)


def hostile_report() -> report_file.Report:
    runs = [
        result(notes=(HOSTILE,), outcome="crashed", detail=HOSTILE),
        oom_result(StepConfig(batch=16), at=Moment(phase="forward", step=0, where=HOSTILE, line=HOSTILE)),
    ]
    comparison = Comparison(kind=ComparisonKind.REGRESSED, sentence=HOSTILE, hint=HOSTILE)
    rows = tuple(
        report_file.Row(result=each, verdict=classify(each), comparison=comparison, why=HOSTILE)
        for each in runs
    )
    cells = ((HOSTILE,),)
    section = Section(title=HOSTILE, paragraphs=(HOSTILE,), columns=(HOSTILE,), cells=cells, more="x.md")
    return report_file.Report(
        date=HOSTILE, command=HOSTILE, margin_bytes=1 << 29, rows=rows, sections=(section,)
    )


def test_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(report_file.dumps(hostile_report()))
    other = report_file.dumps(hostile_report()).replace('"reserved_bytes": 9', '"reserved_bytes": 8')
    (tmp_path / "b.json").write_text(other)
    code, text = said(capsys, "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert code == 1
    assert harmless(text)
    code, text = said(capsys, "report", str(tmp_path / "a.json"), "--stdout")
    assert code == 0
    assert COMMAND.search(text) is None
    assert harmless(text)


def test_catalogs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    quoted = json.dumps(scrub(HOSTILE), ensure_ascii=False)
    name = json.dumps(scrub(HOSTILE).replace("\n", " ")[-80:], ensure_ascii=False)
    path.write_text(f"[gpu.rtx4070]\nname = {name}\nsources = {{specification = {quoted}}}\n")
    for words in ((), ("rtx4070",), ("--json",), ("rtx4070", "--json"), (HOSTILE,)):
        code, text = said(capsys, "gpus", *words, "--gpus", str(path))
        assert (words, code) == (words, 2 if words == (HOSTILE,) else 0)
        assert harmless(text)
    for line in (
        f"[gpu.{quoted}]",
        f"[{quoted}]",
        f"[gpu.rtx4070]\n{quoted} = 1",
        f"[gpu.rtx4070]\nsms = {quoted}",
        f"[gpu.rtx4070]\nname = {quoted}",
    ):
        path.write_text(line)
        code, text = said(capsys, "gpus", "--gpus", str(path))
        assert code == 2
        assert harmless(text)


def test_matrices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "matrix.toml"
    quoted = json.dumps(scrub(HOSTILE), ensure_ascii=False)
    for text in (
        f"[{quoted}]",
        f"[[configuration]]\nwhy = {quoted}\n{quoted} = 1",
        f"[[group]]\nname = {quoted}\nmodel = {quoted}",
    ):
        path.write_text(text)
        code, shown = said(capsys, "record", str(tmp_path / "r.json"), "--matrix", str(path))
        assert code == 2
        assert harmless(shown)
