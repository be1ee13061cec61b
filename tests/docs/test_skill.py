"""What SKILL.md tells an agent to read is in the schema, and its exit codes are those of the reference."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from documents import DOCS, prose
from paths import ROOT

from nanocheck.core.verdict import Kind

PAGE = ROOT / "SKILL.md"
SCHEMA: dict[str, Any] = json.loads((DOCS / "run-result.schema.json").read_text())


def there(path: str) -> bool:
    """Whether a path such as ``result.processes[].oom`` leads to a field."""
    here: Any = SCHEMA
    for part in path.split("."):
        here = opened(here)
        name = part.removesuffix("[]")
        if name not in here.get("properties", {}):
            return False
        here = opened(here["properties"][name])
        if part.endswith("[]"):
            here = here.get("items", {})
    return True


def opened(node: Any) -> Any:
    """What a reference leads to; of several possibilities the one that is no null."""
    while True:
        if "$ref" in node:
            node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
        elif "anyOf" in node:
            node = next(each for each in node["anyOf"] if each.get("type") != "null")
        else:
            return node


def fields() -> list[str]:
    found, before = [], ""
    for each in re.findall(r"`([a-z_.\[\]]+)`", prose(PAGE)):
        if each.startswith(("verdict.", "result.")):
            found.append(each)
            before = each.partition("[]")[0] + "[]" if "[]" in each else ""
        elif each.startswith(".") and before:
            found.append(before + each)
    return found


def test_every_field_is_in_the_schema() -> None:
    assert len(fields()) >= 8
    assert [each for each in fields() if not there(each)] == []


def test_a_field_that_is_none_is_noticed() -> None:
    assert there("result.processes[].allocated_bytes")
    assert not there("result.processes[].allocated")
    assert not there("verdict.words")


@pytest.mark.parametrize(
    "word", ["safe", "tight", "partial", "oom", "crashed", "unsupported", "incomplete", "timeout"]
)
def test_every_verdict_is_one(word: str) -> None:
    assert f"`{word}`" in PAGE.read_text()
    assert word in set(Kind)


def test_its_exit_codes_are_those_of_the_reference() -> None:
    text = (DOCS / "reference" / "exit-codes.md").read_text()
    known = set(re.findall(r"^\| (\d+) \|", text, re.MULTILINE))
    (sentence,) = re.findall(r"Exit code with `--check`: (.*?)\n\n", PAGE.read_text(), re.DOTALL)
    assert set(re.findall(r"\b(\d)\s", sentence)) <= known
