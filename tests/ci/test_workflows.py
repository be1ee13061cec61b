"""action.yml, the reusable workflow and the GitLab template: what they hand over, what they must not do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import ROOT

from nanocheck.ci.settings import PREFIX, Settings

ACTION = ROOT / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
REUSABLE = ROOT / ".github" / "workflows" / "memory-check.yml"
GITLAB = ROOT / "kit" / "gitlab.yml"
#: Read by the steps' own lines and by the later steps.
_OTHERS = {"TOKEN", "COMMENT_AUTHOR", "RESULTS", "PACKAGE", "SOURCE", "TORCH", "INSTALL", "CACHE"}


def read(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    found = read(path)
    yield from found["runs"]["steps"] if "runs" in found else []
    for job in found.get("jobs", {}).values():
        yield from job["steps"]


class _Recording(dict[str, str]):
    """Which variables somebody asks for."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def read_by_the_gate() -> set[str]:
    variables = _Recording({f"{PREFIX}COMMAND": "true"})
    Settings.of(variables)
    return {each.removeprefix(PREFIX) for each in variables.names if each.startswith(PREFIX)}


@pytest.mark.parametrize("path", [ACTION, *WORKFLOWS], ids=lambda path: path.name)
def test_no_value_of_a_workflow_is_part_of_a_script(path: Path) -> None:
    scripts = [each["run"] for each in steps(path) if "run" in each]
    assert scripts
    assert not [each for each in scripts if "${{" in each]


@pytest.mark.parametrize("path", [ACTION, REUSABLE, GITLAB], ids=lambda path: path.name)
def test_every_variable_is_read_by_somebody(path: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+)\b", path.read_text()))
    assert named - read_by_the_gate() - _OTHERS == set()


def test_the_action_hands_over_all_there_is() -> None:
    text = ACTION.read_text()
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+):", text))
    assert read_by_the_gate() - named == {"ROOT", "RESULTS"} - named  # the runner's own say these
    inputs, used = set(read(ACTION)["inputs"]), set(re.findall(r"inputs\.([a-z-]+)", text))
    assert inputs == used


def test_the_reusable_workflow_uses_all_its_inputs() -> None:
    found = read(REUSABLE)
    inputs = set(found[True]["workflow_call"]["inputs"])  # YAML's 1.1 takes `on` for a truth
    assert inputs == set(re.findall(r"inputs\.([a-z-]+)", REUSABLE.read_text()))


def test_only_comments_are_written_and_only_by_who_writes_them() -> None:
    found = read(REUSABLE)
    assert found["permissions"] == {}
    for name, job in found["jobs"].items():
        writes = [what for what, right in job["permissions"].items() if right == "write"]
        assert writes == (["pull-requests"] if name != "table" else [])
    for path in (ACTION, REUSABLE):
        token = [each for each in steps(path) if "TOKEN" in str(each.get("env", {}))]
        assert {each["name"] for each in token} == {"Comment"}
    for each in steps(REUSABLE):
        if str(each.get("uses", "")).startswith("actions/checkout"):
            assert each["with"]["persist-credentials"] is False
    assert "pull_request_target" not in ACTION.read_text() + REUSABLE.read_text()


def test_our_python_is_not_the_checkouts() -> None:
    for path in (ACTION, REUSABLE, GITLAB):
        called = re.findall(r"python (\S+ )?-m nanocheck", path.read_text())
        assert called
        assert set(called) == {"-P "}


def allowed(condition: str, *, event: str, head: str, labels: list[str], runner: str = "gpu") -> bool:
    """A condition of a job, by Python's own rules."""
    text = " ".join(condition.split()).replace("&&", "and")
    names = {
        "inputs.measured-runner": runner,
        "inputs.measured-gpu": "rtx4070",
        "inputs.measured-label": "measure-memory",
        "github.event_name": event,
        "github.event.pull_request.head.repo.full_name": head,
        "github.repository": "o/r",
        "github.event.pull_request.labels.*.name": labels,
    }
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, repr(names[name]))
    assert "inputs" not in text
    assert "github" not in text
    return bool(eval(text, {"contains": lambda several, one: one in several}))


def test_a_real_card_is_for_who_asks_and_never_for_a_fork() -> None:
    job = read(REUSABLE)["jobs"]["measured"]
    condition = job["if"]
    asked = {"event": "pull_request", "head": "o/r", "labels": ["bug", "measure-memory"]}
    assert allowed(condition, **asked)
    assert not allowed(condition, **{**asked, "head": "stranger/r"})
    assert not allowed(condition, **{**asked, "head": ""})  # the fork was deleted
    assert not allowed(condition, **{**asked, "labels": ["bug"]})
    assert not allowed(condition, **{**asked, "event": "pull_request_target"})
    assert not allowed(condition, **asked, runner="")
    assert job["runs-on"][0] == "self-hosted"
    assert [
        name for name, each in read(REUSABLE)["jobs"].items() if "self-hosted" in str(each["runs-on"])
    ] == ["measured"]


@pytest.mark.parametrize(
    ("path", "schema"),
    [(ACTION, "github-actions"), *((each, "github-workflows") for each in WORKFLOWS), (GITLAB, "gitlab-ci")],
    ids=lambda value: getattr(value, "name", value),
)
def test_it_has_the_published_form(path: Path, schema: str) -> None:
    builtin = pytest.importorskip(
        "check_jsonschema.builtin_schemas", reason="the schemas come with check-jsonschema (pip install it)"
    )
    import jsonschema

    found = builtin.get_builtin_schema(f"vendor.{schema}")
    data = read(path)
    if True in data:
        data["on"] = data.pop(True)
    data = {key.removeprefix("."): each for key, each in data.items()}  # of hidden jobs nothing is looked at
    problems = list(jsonschema.validators.validator_for(found)(found).iter_errors(data))
    assert problems == []
    wrong = {**data, "jobs" if "jobs" in data else "runs" if "runs" in data else "nanocheck": 3}
    assert list(jsonschema.validators.validator_for(found)(found).iter_errors(wrong))


def test_the_page_pastes_what_there_is() -> None:
    text = (ROOT / "docs" / "pull-requests.md").read_text()
    blocks = [
        yaml.safe_load(each) for each in re.findall(r"^```yaml\n(\S.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]
    jobs = [job for each in blocks for job in each.get("jobs", {}).values()]
    calls = [step for job in jobs for step in job.get("steps", [job])]
    inputs = {
        "OWNER/nanocheck@": set(read(ACTION)["inputs"]),
        "OWNER/nanocheck/.github/workflows/memory-check.yml@": set(
            read(REUSABLE)[True]["workflow_call"]["inputs"]
        ),
    }
    given = [(each["uses"], each["with"]) for each in calls if each["uses"].startswith("OWNER/")]
    assert len(given) == 2
    for used, values in given:
        assert set(values) <= inputs[used.rpartition("@")[0] + "@"]
    table = text[text.index("| input | default |") :].partition("\n\n")[0]
    named = {each for row in table.splitlines()[2:] for each in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    assert named == inputs["OWNER/nanocheck@"]
