"""What a check is asked for, and of which change: read from the environment, refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import oom_result, peaks, result
from made_up_gate import as_command

from nanocheck.ci.settings import Settings
from nanocheck.ci.surroundings import Surroundings
from nanocheck.core.errors import NanocheckError, RequestError
from nanocheck.core.gate import GateRow, Missing, parse_fail_on, reasons_to_fail
from nanocheck.core.run_diff import diff
from nanocheck.core.units import MIB
from nanocheck.core.verdict import Kind


def of(tmp_path: Path, **changes: str) -> Settings:
    variables = {f"NANOCHECK_{name}": value for name, value in changes.items()}
    return Settings.of({"NANOCHECK_COMMAND": "true", "NANOCHECK_ROOT": str(tmp_path), **variables})


def test_words_are_a_shells_and_no_shell_reads_them(tmp_path: Path) -> None:
    found = of(tmp_path, COMMAND="python train.py --note 'a; rm -rf /' $(id)", GPUS="h100, rtx4070,h100")
    assert found.command == ("python", "train.py", "--note", "a; rm -rf /", "$(id)")
    assert found.gpus == ("h100", "rtx4070")
    assert of(tmp_path, GPUS="8xh100, 2xrtx4090, l4").gpus == ("8xh100", "2xrtx4090", "l4")


@pytest.mark.parametrize(
    "changes",
    [
        {"COMMAND": ""},
        {"TESTS": "tests"},
        {"COMMAND": "python 'train.py"},
        {"GPUS": "rtx4070,,h100"},
        {"GPUS": "--device"},
        {"GPUS": "rtx4070,rtx9999"},
        {"GPUS": "8xrtx9999"},
        {"GPUS": "0xh100"},
        {"GPUS": "all"},
        {"MARGIN": "much"},
        {"ALLOW_GROWTH": "-1"},
        {"FOLDER": ".."},
        {"FOLDER": "/etc"},
        {"FOLDER": "nowhere"},
        {"FAIL_ON": "oom,never"},
        {"FAIL_ON": "everything"},
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(RequestError, match="expected"):
        of(tmp_path, **changes)


def event(tmp_path: Path, data: object, name: str = "pull_request", **more: str) -> Surroundings:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(data))
    return Surroundings.of(
        {"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(path), "GITHUB_REPOSITORY": "o/r", **more}
    )


def test_strangers_code_is_not_run_with_our_rights(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="pull_request_target"):
        event(tmp_path, {}, "pull_request_target")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["pull_request", "base", "head", "repo", "sha", "number"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_JSON)
def test_an_event_is_understood_or_refused(tmp_path: Path, data: object) -> None:
    try:
        found = event(tmp_path, data)
    except NanocheckError:
        return
    # Nothing but the same repository is none of a fork's.
    assert found.number is None or found.fork


def test_a_push_has_the_commit_before_it(tmp_path: Path) -> None:
    assert event(tmp_path, {"before": "1" * 40}, "push").base == "1" * 40
    assert event(tmp_path, {"before": "0" * 40}, "push").base == ""  # a new branch
    assert event(tmp_path, {}, "schedule").number is None


def test_gitlabs_variables() -> None:
    variables = {
        "GITLAB_CI": "true",
        "CI_PROJECT_ID": "42",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": "1" * 40,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "42",
    }
    found = Surroundings.of(variables)
    assert (found.number, found.base, found.fork) == (7, "1" * 40, False)
    assert Surroundings.of({**variables, "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "43"}).fork


def test_jobs_and_what_they_run_have_a_key_each() -> None:
    keys = {
        Surroundings(job=job).key(what) for job in (("w", "a"), ("w", "b"), ("wa",)) for what in ("x", "y")
    }
    assert len(keys) == 6
    assert all(each.isalnum() and each.isascii() for each in keys)


# -- what fails ---------------------------------------------------------------------------------------------


def row(*, grew: int = 0, oom: bool = False, was_oom: bool = False) -> GateRow:
    before = as_command(oom_result() if was_oom else result())
    after = as_command(oom_result() if oom else result(peaks=peaks((8000 + grew) * MIB)))
    return GateRow.of(after, diff=diff(before, after), no_base="", reproduce=())


@pytest.mark.parametrize(
    ("words", "what", "fails"),
    [
        ("oom", row(oom=True), True),
        ("oom", row(grew=5), False),
        ("growth", row(grew=5), True),
        ("growth", row(grew=-5), False),
        ("growth", row(), False),
        ("worse", row(oom=True), True),
        ("worse", row(oom=True, was_oom=True), False),
        ("worse", row(was_oom=True), False),
        ("never", row(oom=True), False),
        ("tight", row(), False),
    ],
)
def test_only_what_was_asked_to_fail_does(words: str, what: GateRow, fails: bool) -> None:
    assert bool(reasons_to_fail(parse_fail_on(words), [what])) is fails


def test_no_answer_is_not_an_answer() -> None:
    missing = [Missing(id="pytest", gpu="h100", why="no result")]
    assert reasons_to_fail(("no-answer",), [], missing)
    assert not reasons_to_fail(("oom",), [], missing)
    assert reasons_to_fail(("tests",), [], (), 1)
    assert not reasons_to_fail(("tests",), [], (), 0)


@given(st.lists(st.sampled_from([*map(str, Kind), "growth", "worse", "no-answer", "tests"]), min_size=1))
def test_every_verdict_can_be_asked_for(words: list[str]) -> None:
    assert set(parse_fail_on(" , ".join(words).upper())) == set(words)
