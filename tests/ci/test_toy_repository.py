"""The steps of action.yml, on a pull request that forgets an fp32 copy of the logits."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

import action_driver
import pytest
from action_driver import pip_that_installs_nothing
from github_stand_in import TOKEN, Service, service
from paths import QUICK, ROOT
from toy_repository import FORGOTTEN, FORGOTTEN_BYTES, RETURN, TRAIN, Pushed, Repository

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the virtual GPU needs Linux")

BAD = TRAIN.replace(RETURN, FORGOTTEN + RETURN)
#: The word by which log lines are made harmless, as the runner knows it.
_STOPPED = re.compile(r"^::stop-commands::(\w+)$(.*?)^::\1::$", re.MULTILINE | re.DOTALL)


class Runner:
    """GitHub, for one repository."""

    def __init__(self, folder: Path, stand_in: Service) -> None:
        self.folder, self.service, self.runs = folder, stand_in, 0
        pip_that_installs_nothing(folder / "bin")

    def run(
        self,
        pushed: Pushed,
        *,
        fork: bool = False,
        token: str = TOKEN,
        results: Path | None = None,
        **inputs: str,
    ) -> tuple[action_driver.Job, Path]:
        """
        Args:
            results: of an earlier run, so that only the steps after it are run.
        """
        self.runs += 1
        temporary = results.parent if results is not None else self.folder / f"temp-{self.runs}"
        variables = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": f"{QUICK}:{ROOT}",
            "NANOCHECK_TESTS_QUICK": os.environ["NANOCHECK_TESTS_QUICK"],
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_API_URL": self.service.address,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_WORKFLOW": "memory",
            "GITHUB_JOB": "virtual",
            "THE_TOKEN": token,
        }
        given = {"command": "python train.py", "fail-on": "oom,no-answer,growth", **inputs}
        job = action_driver.run(
            ROOT / "action.yml",
            given,
            workspace=pushed.checkout,
            temporary=temporary,
            event=pushed.event(fork=fork),
            variables=variables,
            only=("Comment", "Verdict") if results is not None else (),
        )
        return job, temporary / "nanocheck"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Two pushes, and the first one again as if from a fork."""
    folder = tmp_path_factory.mktemp("toy")
    with service() as stand_in:
        runner = Runner(folder, stand_in)
        repository = Repository(folder / "repository")
        first = repository.push(BAD, "the plot of the logits")
        caught, results = runner.run(first)
        after_first = stand_in.bodies()
        asked = len(stand_in.asked)
        from_fork, _ = runner.run(first, fork=True, results=results)
        refused_before = len(stand_in.asked)
        stand_in.writes = False
        read_only, _ = runner.run(first, results=results)
        stand_in.writes = True
        second = repository.push(TRAIN + "# no plot\n", "without the plot")
        mended, _ = runner.run(second)
        return {
            "first": first,
            "second": second,
            "caught": caught,
            "after_first": after_first,
            "fork": from_fork,
            "asked_by_fork": refused_before - asked,
            "read_only": read_only,
            "mended": mended,
            "comments": stand_in.bodies(),
            "methods": stand_in.methods(),
            "problems": stand_in.problems,
            "pip": (folder / "bin" / "pip.log").read_text(),
        }


def test_the_forgotten_copy_is_caught(whole: dict) -> None:
    job = whole["caught"]
    assert job.steps["Base and head"].outcome == "success", job.steps["Base and head"].log
    assert job.steps["Base and head"].outputs["passed"] == "false"
    assert int(job.steps["Base and head"].outputs["grown-bytes"]) == FORGOTTEN_BYTES
    assert job.steps["Verdict"].outcome == "failure"
    assert not job.passed


def test_its_comment_names_the_line_and_the_bytes(whole: dict) -> None:
    (body,) = whole["after_first"]
    number = BAD.splitlines().index(FORGOTTEN.rstrip()) + 1
    (row,) = [line for line in body.splitlines() if line.startswith(f"| +{FORGOTTEN_BYTES:,} |")]
    assert f"train.py&#58;{number}</code>" in row
    assert "logits.float()" in row
    assert f"https://github.com/o/r/blob/{whole['first'].head}/train.py#L{number}" in row
    assert whole["first"].base[:12] in body
    assert "nanocheck run --gpu rtx4070" in body


def test_the_annotation_is_at_the_line_and_the_scripts_own_lines_are_no_commands(whole: dict) -> None:
    log = whole["caught"].steps["Base and head"].log
    number = BAD.splitlines().index(FORGOTTEN.rstrip()) + 1
    assert len(_STOPPED.findall(log)) == 2
    commands = [line for line in _STOPPED.sub("", log).splitlines() if line.startswith("::")]
    assert [line.split(" ")[0] for line in commands] == ["::warning"]
    assert f"file=train.py,line={number}," in commands[0]


def test_a_second_push_updates_the_same_comment(whole: dict) -> None:
    assert whole["mended"].passed, whole["mended"].steps["Base and head"].log
    (body,) = whole["comments"]
    assert body.splitlines()[0] == whole["after_first"][0].splitlines()[0]
    assert "no peak moved" in body
    assert whole["second"].head[:12] in body
    assert [each for each in whole["methods"] if each != "GET"] == ["POST", "PATCH", "PATCH"]
    assert whole["problems"] == []


def test_a_fork_and_a_read_only_token_pass_the_comment_step_with_a_summary(whole: dict) -> None:
    assert whole["fork"].steps["Comment"].outcome == "success"
    assert whole["asked_by_fork"] == 0
    assert "fork" in whole["fork"].summary
    assert whole["read_only"].steps["Comment"].outcome == "success"
    assert "403" in whole["read_only"].summary
    assert whole["caught"].summary.count(f"+{FORGOTTEN_BYTES:,}") >= 2  # the summary has what the comment has


def test_what_other_actions_are_given(whole: dict) -> None:
    steps = whole["caught"].steps
    assert steps["Keep the results"].given["path"] == steps["Base and head"].outputs["results"]
    assert steps["Python"].given == {"python-version": "3.12"}
    assert "3.12-torch-hash" in steps["Cache of torch and of the virtual GPU"].given["key"]
    assert whole["pip"].splitlines()[0] == f"-m pip install {ROOT} torch"


def test_no_path_of_the_machine_and_no_token_is_written(whole: dict) -> None:
    for text in (*whole["comments"], whole["caught"].summary, whole["fork"].summary):
        assert "/tmp" not in text
        assert str(ROOT) not in text
        assert TOKEN not in text


def test_the_page_shows_what_the_comment_says(whole: dict) -> None:
    text = (ROOT / "docs" / "pull-requests.md").read_text()
    (torch,) = re.findall(r"real output with torch ([\d.]+)", text)
    here = version("torch").split("+")[0]
    if here != torch:
        pytest.skip(f"the page shows what torch {torch} says, this is {here}")
    (shown,) = re.findall(r"^```markdown\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (body,) = whole["after_first"]

    def plain(text: str) -> list[str]:
        return [re.sub(r"[0-9a-f]{40}", "COMMIT", line) for line in text.splitlines() if line]

    assert len(plain(shown)) >= 8
    assert set(plain(shown)) <= set(plain(body)), "write the page anew"
