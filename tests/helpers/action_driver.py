"""Runs the ``run:`` steps of a composite action, or of a job, with what GitHub's runner would give them.


Only what action.yml uses is understood of expressions; anything else is an error, so that a test notices.
Steps with ``uses:`` are other people's: what they are given is recorded.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
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


def run(action: Path, inputs: Mapping[str, Any], **how: Any) -> Job:
    """A composite action; ``how``: see ``_Driver``."""
    text = yaml.safe_load(action.read_text())
    return _Driver(**how, action_path=str(action.parent)).run(
        text["inputs"], inputs, text["runs"]["steps"], {}
    )


def run_job(workflow: Path, job: str, inputs: Mapping[str, Any], **how: Any) -> Job:
    """A job of a reusable workflow, whose conditions of its own and ``needs`` are not looked at."""
    text = yaml.safe_load(workflow.read_text())
    declared = text[True]["workflow_call"]["inputs"]  # YAML 1.1 takes ``on`` for a truth
    found = text["jobs"][job]
    return _Driver(**how, action_path="").run(declared, inputs, found["steps"], found.get("env", {}))


@dataclass
class _Driver:
    """
    Attributes:
        workspace: the checkout. temporary: the runner's. event: GitHub's payload.
        variables: of the environment, beside the runner's own; ``THE_TOKEN`` is what ``github.token`` is.
        only: names of the steps to run; the others are as they were.
    """

    workspace: Path
    temporary: Path
    event: Mapping[str, Any]
    variables: Mapping[str, str]
    action_path: str
    only: tuple[str, ...] = ()

    def run(
        self,
        declared: Mapping[str, Any],
        inputs: Mapping[str, Any],
        listed: list[dict[str, Any]],
        of_job: Mapping[str, Any],
    ) -> Job:
        """All steps, as far as they are successful."""
        unknown = set(inputs) - set(declared)
        assert not unknown, f"no such inputs: {unknown}"
        self.temporary.mkdir(parents=True, exist_ok=True)
        summary, event_file = self.temporary / "summary.md", self.temporary / "event.json"
        summary.write_text("")
        event_file.write_text(json.dumps(self.event))
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_EVENT_PATH": str(event_file),
            "GITHUB_STEP_SUMMARY": str(summary),
            "RUNNER_TEMP": str(self.temporary),
            **self.variables,
        }
        token = environment.pop("THE_TOKEN", "")
        state: dict[str, Any] = {
            "inputs": {},
            "github": {"action_path": self.action_path, "token": token, "workspace": str(self.workspace)},
            "runner": {"os": "Linux", "arch": "X64"},
            "steps": {},
        }
        for name, each in declared.items():
            given = inputs.get(name, each.get("default", ""))
            state["inputs"][name] = given if isinstance(given, bool) else expand(str(given), state)
        environment |= {name: expand(str(each), state) for name, each in of_job.items()}
        steps: dict[str, Step] = {}
        failed = False
        for each in listed:
            name = each.get("name") or each["uses"]
            if failed or (self.only and name not in self.only) or not condition(each.get("if"), state):
                steps[name] = Step(name, "skipped")
                continue
            if "uses" in each:
                given = {key: expand(str(value), state) for key, value in each.get("with", {}).items()}
                steps[name] = Step(name, "success", given=given)
                continue
            assert each.get("shell", "bash") == "bash"
            assert "${{" not in each["run"], "a value of the workflow in a script"
            steps[name] = found = _run(each, state, environment, self.workspace, self.temporary)
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
    """Of ``inputs.x``, ``inputs.x == 'yes'`` and ``!=``."""
    if text is None:
        return True
    if re.fullmatch(r"inputs\.[\w-]+", text):
        return value(text, state) is True
    found = re.fullmatch(r"([\w.-]+) (==|!=) ('[^']*')", text)
    assert found, f"not understood: {text}"
    return (value(found[1], state) == value(found[3], state)) == (found[2] == "==")


def pip_that_installs_nothing(folder: Path) -> Path:
    """A folder for ``PATH``: its ``python -m pip`` writes down what it was asked, into ``pip.log`` there."""
    folder.mkdir()
    (folder / "python").write_text(
        f'#!/bin/bash\nif [ "$1 $2" = "-m pip" ]; then echo "$@" >> "{folder}/pip.log"; exit 0; fi\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    (folder / "python").chmod(0o755)
    return folder
