"""The step that runs base and head: what it gives a project's code, and what it makes of no answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import action_driver
import pytest
import yaml
from action_driver import pip_that_installs_nothing
from github_stand_in import TOKEN, service
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import result
from made_up_gate import as_command, gate, holding
from made_up_ranks import ranks
from paths import ROOT
from toy_repository import TRAIN, Pushed, Repository

from nanocheck.ci import gate as gates
from nanocheck.ci import merging, runs
from nanocheck.ci.settings import Settings
from nanocheck.ci.surroundings import Surroundings
from nanocheck.core.gate import Gate
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun
from nanocheck.report import gate_comment, gate_junit

WITHHELD = {
    "GITHUB_ENV": "/tmp/env",
    "GITHUB_OUTPUT": "/tmp/output",
    "GITHUB_STEP_SUMMARY": "/tmp/summary",
    "ACTIONS_RUNTIME_TOKEN": TOKEN,
    "NANOCHECK_TOKEN": TOKEN,
    "GITHUB_TOKEN": TOKEN,
}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    return Repository(tmp_path_factory.mktemp("gate")).push(TRAIN + "# more\n", "more")


def asked(pushed: Pushed, tmp_path: Path, **changes: str) -> Settings:
    values = {"COMMAND": "true", "ROOT": str(pushed.checkout), "RESULTS": str(tmp_path), **changes}
    return Settings.of({f"NANOCHECK_{name}": value for name, value in values.items()})


def invented(
    monkeypatch: pytest.MonkeyPatch, base: list[JudgedRun], head: list[JudgedRun], root: Path
) -> None:
    """These came out."""

    def run(settings: Settings, place: Path, results: Path) -> runs.Found:
        these = head if place == root else base
        return runs.Found(runs={(each.result.id, each.result.device.gpu): each for each in these})

    monkeypatch.setattr(gates.runs, "run", run)


def around(pushed: Pushed) -> Surroundings:
    return Surroundings(service="github", number=7, base=pushed.base, head=pushed.head, job=("w", "j"))


def test_the_projects_code_gets_no_token_and_no_file_of_the_runner(
    pushed: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WITHHELD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OF_THE_PROJECT", "yes")
    seen = tmp_path / "seen"
    found = runs.run(
        asked(pushed, tmp_path, PREPARE=f"env > '{seen}'; exit 3"), pushed.checkout, tmp_path / "head"
    )
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert "OF_THE_PROJECT" in names
    assert not names & set(WITHHELD)
    assert [each.why for each in found.missing] == ["prepare ended with exit code 3"]


def test_base_and_head_are_compared(pushed: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = as_command(result(stacks=(holding(1, "train.py:1", "x"),)))
    invented(monkeypatch, [same], [same], pushed.checkout)
    found, _ = gates.check(asked(pushed, tmp_path), around(pushed))
    assert (found.base, found.head) == (pushed.base, pushed.head)
    assert found.rows[0].diff is not None
    assert not found.rows[0].diff.moved
    assert found.failed == ()


def test_ranks_of_a_machine_are_compared_each_with_itself(
    pushed: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 1 of four grew, which is not the fullest."""
    before, after = {0: 2000, 1: 1000, 2: 1000, 3: 1000}, {0: 2000, 1: 1010, 2: 1000, 3: 1000}
    base, head = (as_command(ranks(sizes), ("torchrun", "train.py")) for sizes in (before, after))
    invented(monkeypatch, [base], [head], pushed.checkout)
    found, _ = gates.check(asked(pushed, tmp_path, GPUS="4xrtx4070"), around(pushed))
    (row,) = found.rows
    assert (row.gpu, row.card) == ("4xrtx4070", f"4 x {row.card.partition(' x ')[2]}")
    assert row.reproduce[:4] == ("nanocheck", "run", "--gpu", "4xrtx4070")
    assert row.diff is not None
    assert (row.diff.rank, row.diff.change_bytes) == (1, 10 * MIB)
    text = gate_comment.render(found)
    lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line[:1] == "|"]
    assert [each for each in lines if each[0] in ("0", "1", "2 to 3")] == [
        ["0", "+0.00", "+0.00"],
        ["1", "+10.00", "+10.00"],
        ["2 to 3", "+0.00", "+0.00"],
    ]


def test_a_base_that_ran_the_heads_code_is_no_base(
    pushed: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = as_command(result(stacks=(holding(1, f"{pushed.checkout}/train.py:1", "x"),)))
    invented(monkeypatch, [mixed], [as_command(result())], pushed.checkout)
    found, _ = gates.check(asked(pushed, tmp_path), around(pushed))
    assert found.rows[0].diff is None
    assert "head's checkout" in found.rows[0].no_base
    assert any("pip install -e" in each for each in found.notes)
    assert str(pushed.checkout) not in json.dumps(found.notes)


def test_what_only_the_head_has_has_no_base(
    pushed: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invented(monkeypatch, [], [as_command(result())], pushed.checkout)
    found, _ = gates.check(asked(pushed, tmp_path), around(pushed))
    assert found.rows[0].no_base.startswith("it did not run at the base")
    found, _ = gates.check(asked(pushed, tmp_path, BASE="none"), around(pushed))
    assert found.base == ""


def test_the_key_is_the_jobs_and_what_it_runs(
    pushed: Pushed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invented(monkeypatch, [], [], pushed.checkout)

    def key(**changes: str) -> str:
        return gates.check(asked(pushed, tmp_path, BASE="none", **changes), around(pushed))[0].key

    assert key() == key()
    assert len({key(), key(COMMAND="false"), key(GPUS="h100"), key(NAME="mine")}) == 4
    assert key(NAME="mine") == key(NAME="mine", COMMAND="false", GPUS="h100")


def test_gitlabs_template_keeps_a_note_and_writes_its_reports(pushed: Pushed, tmp_path: Path) -> None:
    """The lines of the job, with a command that uses no GPU: no answer, which fails."""
    job = yaml.safe_load((ROOT / "kit" / "gitlab.yml").read_text())[".nanocheck"]
    results = tmp_path / "nanocheck-results"
    with service() as stand_in:
        variables = {
            **{name: os.environ[name] for name in ("HOME", "NANOCHECK_CACHE") if name in os.environ},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GITLAB_CI": "true",
            "CI_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": pushed.base,
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
            "CI_COMMIT_SHA": pushed.head,
            "CI_API_V4_URL": f"{stand_in.address}/api/v4",
            "CI_SERVER_URL": "https://gitlab.com",
            "CI_PROJECT_PATH": "o/r",
            "NANOCHECK_COMMAND": "true",
            "NANOCHECK_TOKEN": TOKEN,
            "NANOCHECK_RESULTS": str(results),
        }
        done = [
            subprocess.run(
                line,
                shell=True,
                cwd=pushed.checkout,
                env=variables,
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )
            for line in job["script"]
        ]
        assert [each.returncode for each in done] == [0, 0, 1], [each.stderr for each in done]
        (note,) = stand_in.bodies()
        assert stand_in.problems == []
    assert "no-gpu" in note
    written = {Path(each).name for each in job["artifacts"]["reports"].values()}
    assert written <= {each.name for each in results.iterdir()}
    assert ElementTree.parse(results / "junit.xml").find("testsuite").get("failures") == "1"  # type: ignore[union-attr]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_junit_holds_any_text(data: st.DataObject) -> None:
    texts = st.sampled_from(["]]>", "<x>&", "\x00\x1b", "\ud800", "\ufffe", "it"]) | st.text(max_size=5)
    found = gate(lambda _: data.draw(texts), rows=2)
    suite = ElementTree.fromstring(gate_junit.render(found)).find("testsuite")
    assert suite is not None
    assert suite.get("tests") == str(len(suite.findall("testcase"))) == "3"
    assert suite.get("errors") == "1"


# -- one table of several jobs ------------------------------------------------------------------------------


def line(number: int, **changes: Any) -> merging.Line:
    values = dict.fromkeys(merging.Line.__struct_fields__, "x")
    values |= {"allocated_bytes": number, "reserved_bytes": 2, "headroom_bytes": None, "change_bytes": None}
    return merging.Line(**{**values, **changes})


lines = st.lists(
    st.builds(
        line,
        st.integers(0, 3),
        id=st.sampled_from("ab"),
        gpu=st.sampled_from("cd"),
        commit=st.sampled_from("12"),
        seen=st.sampled_from(["2026-01-01 00:00 UTC", "2026-01-02 00:00 UTC"]),
    ),
    max_size=8,
)


@given(lines, lines, st.randoms())
def test_merging_depends_on_no_order_and_can_be_done_again(
    some: list[merging.Line], others: list[merging.Line], random: Any
) -> None:
    merged = merging.merge([*some, *others])
    shuffled = [*some, *others, *some]
    random.shuffle(shuffled)
    assert merging.merge(shuffled) == merged
    assert merging.merge([*merging.merge(some).lines, *others]) == merged
    assert {each.cell for each in merged.lines} == {each.cell for each in (*some, *others)}
    for each in merged.lines:
        assert each.seen == max(one.seen for one in (*some, *others) if one.cell == each.cell)


def test_jobs_results_become_one_table(tmp_path: Path) -> None:
    import msgspec

    for name in ("virtual", "measured"):
        rows = tuple(msgspec.structs.replace(each, provenance=name) for each in gate(rows=2).rows)
        found: Gate = msgspec.structs.replace(gate(), rows=rows)
        (tmp_path / name).mkdir()
        (tmp_path / name / "gate.json").write_bytes(msgspec.json.encode(found))
    page = merging.write(merging.merge(merging.load([tmp_path])), tmp_path)
    assert page.count("<code>measured</code>") == page.count("<code>virtual</code>") == 2
    again = merging.write(merging.merge(merging.load([tmp_path])), tmp_path)
    assert again == page
    assert (tmp_path / "table.csv").read_text().count("\n") == 5


def test_a_spreadsheet_finds_no_formula(tmp_path: Path) -> None:
    merging.write(merging.merge([line(1, id="=HYPERLINK(1)")]), tmp_path)
    assert (tmp_path / "table.csv").read_text().splitlines()[1].startswith(" =")


def test_the_reusable_workflows_jobs_one_after_the_other(pushed: Pushed, tmp_path: Path) -> None:
    """A command that uses no GPU: no answer, which fails; the table has it all the same."""
    workflow = ROOT / ".github" / "workflows" / "memory-check.yml"
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with service() as stand_in:
        how = {
            "event": pushed.event(),
            "variables": {
                "PATH": f"{pip_that_installs_nothing(tmp_path / 'bin')}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "GITHUB_EVENT_NAME": "pull_request",
                "GITHUB_REPOSITORY": "o/r",
                "GITHUB_API_URL": stand_in.address,
                "GITHUB_WORKFLOW": "memory",
                "THE_TOKEN": TOKEN,
            },
        }
        job = action_driver.run_job(
            workflow,
            "virtual",
            {"command": "true", "base": "none"},
            workspace=pushed.checkout,
            temporary=tmp_path / "temp",
            **how,
        )
        assert job.steps["Base and head"].outcome == "success", job.steps["Base and head"].log
        assert job.steps["Verdict"].outcome == "failure"
        assert len(stand_in.bodies()) == 1
        uploaded = job.steps["actions/upload-artifact@v4"].given
        assert uploaded["name"].startswith("nanocheck-virtual-")
        shutil.copytree(uploaded["path"], workspace / "results" / uploaded["name"])
        table = action_driver.run_job(
            workflow, "table", {}, workspace=workspace, temporary=tmp_path / "other", **how
        )
    assert table.steps["One table"].outcome == "success", table.steps["One table"].log
    assert "no-gpu" in table.summary
    for name in table.steps["actions/upload-artifact@v4"].given["path"].split():
        assert (workspace / name).is_file()


def test_a_projects_own_tests_are_rows(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "test_wide.py").write_text(
        "import pytest, torch\n\n"
        '@pytest.mark.fits("rtx4070")\n'
        "def test_wide():\n"
        '    torch.empty(13 << 30, dtype=torch.uint8, device="cuda")\n'
    )
    found, (run,) = gates.check(
        Settings.of(
            {
                "NANOCHECK_TESTS": "test_wide.py -q -p no:cacheprovider",
                "NANOCHECK_ROOT": str(root),
                "NANOCHECK_RESULTS": str(tmp_path / "results"),
            }
        ),
        Surroundings(),
    )
    (row,) = found.rows
    assert (row.id, row.verdict) == ("test_wide.py::test_wide", "oom")
    assert row.where == "test_wide.py:5"
    assert found.failed == ("test_wide.py::test_wide on rtx4070: oom", "pytest ended with exit code 1")
    assert found.base_note == "neither a pull request nor a push says one"
    assert run.result.oom is not None
    assert run.result.oom.requested_bytes == 13 << 30
    assert row.reproduce[:2] == ("pytest", "test_wide.py")
