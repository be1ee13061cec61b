"""Runs the ``run:`` steps of a composite action as GitHub's runner would, with its variables and files.

Only what action.yml uses is understood of expressions; anything else is an error, so that a test notices.
Steps with ``uses:`` are other people's: what they are given is recorded.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

#: Of the machine that runs the tests.
_KEPT = (
    "PATH",
    "PYTHONPATH",
    "HOME",
    "LANG",
    "NANOCHECK_CACHE",
    "TORCHINDUCTOR_CACHE_DIR",
    "TMPDIR",
    "LD_LIBRARY_PATH",
)


@dataclass
class Step:
    """What became of one step; ``given`` is the ``with:`` of somebody else's action."""

    name: str
    outcome: str
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """What a run of the action left behind."""

    steps: dict[str, Step]
    summary: str

    @property
    def passed(self) -> bool:
        return all(each.outcome != "failure" for each in self.steps.values())


def run(
    action: Path,
    inputs: Mapping[str, str],
    *,
    workspace: Path,
    temporary: Path,
    event: Mapping[str, Any],
    variables: Mapping[str, str],
    only: tuple[str, ...] = (),
) -> Job:
    """
    Args:
        variables: of the environment, beside the runner's own.
        only: names of the steps to run; the others are as they were.
    """
    text = yaml.safe_load(action.read_text())
    unknown = set(inputs) - set(text["inputs"])
    assert not unknown, f"no such inputs: {unknown}"
    temporary.mkdir(parents=True, exist_ok=True)
    summary, event_file = temporary / "summary.md", temporary / "event.json"
    summary.write_text("")
    event_file.write_text(json.dumps(event))
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_EVENT_PATH": str(event_file),
        "GITHUB_STEP_SUMMARY": str(summary),
        "RUNNER_TEMP": str(temporary),
        **variables,
    }
    state: dict[str, Any] = {
        "inputs": {name: inputs.get(name, each.get("default", "")) for name, each in text["inputs"].items()},
        "github": {"action_path": str(action.parent), "token": variables.get("THE_TOKEN", "")},
        "runner": {"os": "Linux", "arch": "X64"},
        "steps": {},
    }
    state["inputs"] = {name: expand(str(value), state) for name, value in state["inputs"].items()}
    environment.pop("THE_TOKEN", None)
    steps: dict[str, Step] = {}
    failed = False
    for each in text["runs"]["steps"]:
        name = each["name"]
        if failed or (only and name not in only) or not condition(each.get("if"), state):
            steps[name] = Step(name, "skipped")
            continue
        if "uses" in each:
            given = {key: expand(str(value), state) for key, value in each.get("with", {}).items()}
            steps[name] = Step(name, "success", given=given)
            continue
        assert each["shell"] == "bash"
        assert "${{" not in each["run"], "a value of the workflow in a script"
        steps[name] = found = _run(each, state, environment, workspace, temporary)
        failed = found.outcome == "failure"
        if "id" in each:
            state["steps"][each["id"]] = {"outputs": found.outputs}
    return Job(steps, summary.read_text())


def _run(
    each: Mapping[str, Any], state: dict[str, Any], environment: dict[str, str], folder: Path, temporary: Path
) -> Step:
    script, output = temporary / "step.sh", temporary / "output"
    script.write_text(each["run"])
    output.write_text("")
    own = {key: expand(str(value), state) for key, value in each.get("env", {}).items()}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=folder,
        env={**environment, **own, "GITHUB_OUTPUT": str(output)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Step(
        each["name"], "failure" if done.returncode else "success", done.stdout, outputs(output.read_text())
    )


def outputs(text: str) -> dict[str, str]:
    """What the runner reads from the file of a step's outputs."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, between, word = line.partition("<<")
        assert between, f"not delimited: {line!r}"
        value = []
        for each in lines:
            if each == word:
                break
            value.append(each)
        found[name] = "\n".join(value)
    return found


def expand(text: str, state: Mapping[str, Any]) -> str:
    """A text with its ``${{ }}`` filled in."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(value(found[1].strip(), state)), text)


def value(expression: str, state: Mapping[str, Any]) -> Any:
    """Of ``inputs.x``, ``'text'``, ``a || b``, and ``format('...{0}', a)``."""
    for part in expression.split(" || "):
        found = _one(part.strip(), state)
        if found:
            return found
    return ""


def _one(text: str, state: Mapping[str, Any]) -> Any:
    if re.fullmatch(r"'[^']*'", text):
        return text[1:-1]
    call = re.fullmatch(r"format\('([^']*)', ([\w.-]+)\)", text)
    if call:
        return call[1].format(_one(call[2], state))
    if text.startswith("hashFiles("):
        return "hash"
    assert re.fullmatch(r"(inputs|github|runner|steps)(\.[\w-]+)+", text), f"not understood: {text}"
    found: Any = state
    for name in text.split("."):
        found = found.get(name, "") if isinstance(found, Mapping) else ""
    return found


def condition(text: str | None, state: Mapping[str, Any]) -> bool:
    """Of ``inputs.x == 'yes'`` and ``!=``."""
    if text is None:
        return True
    found = re.fullmatch(r"([\w.-]+) (==|!=) ('[^']*')", text)
    assert found, f"not understood: {text}"
    return (value(found[1], state) == value(found[3], state)) == (found[2] == "==")
