"""The table of cases, and the scripts that come with it."""

from __future__ import annotations

import ast
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nanocheck.core.errors import RequestError
from nanocheck.verify.cases import CASES, SCRIPTS, choose, load_cases

FOUND = load_cases()


def test_there_are_a_few_dozen_and_each_says_what_it_tries() -> None:
    assert len(FOUND) >= 30
    assert len({case.id for case in FOUND}) == len(FOUND)
    assert all(len(case.tries.split()) >= 4 for case in FOUND)


def test_they_are_in_the_order_of_the_file() -> None:
    ids = [line.split('"')[1] for line in CASES.read_text().splitlines() if line.startswith("id = ")]
    assert [case.id for case in FOUND] == ids


def test_they_vary_what_the_issue_of_memory_is_about() -> None:
    configs = [case.config for case in FOUND if case.config is not None]
    for field, values in {
        "dtype": {"bf16", "fp16", "fp32"},
        "compile": {"off", "default", "reduce-overhead"},
        "optimizer": {"adamw-fused", "adamw-foreach", "adamw-loop", "adamw-8bit"},
        "allocator": {"default", "expandable"},
        "checkpointing": {"none", "block"},
        "loss": {"full", "chunked"},
        "cycle": {"train", "full", "resume"},
    }.items():
        assert values <= {getattr(config, field) for config in configs}, field
    assert any(config.accumulation > 1 for config in configs)


def test_every_script_is_used_and_needs_nothing_but_torch() -> None:
    scripts = {path.name for path in SCRIPTS.glob("*.py")}
    imported = set()
    for path in SCRIPTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.partition(".")[0] for name in names}
    beside = {f"{name}.py" for name in imported} & scripts
    assert imported - {name.removesuffix(".py") for name in beside} <= {"torch", *sys.stdlib_module_names}
    assert scripts - beside == {case.script for case in FOUND if case.script}


def test_what_needs_a_package_says_so_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = [case for case in FOUND if case.needs == "bitsandbytes"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert case.missing == "no bitsandbytes"
    assert FOUND[0].missing == ""


def test_a_case_that_runs_something_else_has_another_identity() -> None:
    plain, script = FOUND[0], next(case for case in FOUND if case.script)
    assert plain.config is not None
    assert len({case.identity for case in FOUND}) == len(FOUND)
    assert replace(plain, config=replace(plain.config, batch=5)).identity != plain.identity
    assert replace(script, full=not script.full).identity != script.identity
    assert replace(plain, tries="in other words").identity == plain.identity


def test_a_choice_keeps_the_order_and_names_what_it_does_not_find() -> None:
    assert [case.id for case in choose(FOUND, "fp16, plain")] == ["plain", "fp16", "compiled-fp16"]
    assert choose(FOUND, "") == FOUND
    with pytest.raises(RequestError, match="nosuch"):
        choose(FOUND, "plain,nosuch")


@pytest.mark.parametrize(
    "text",
    [
        "[[configuration]]\nid = 'x'\n",
        "[[configuration]]\nid = 'x'\ntries = 'y'\nsettings = {batch = 'many'}\n",
        "[[configuration]]\nid = 'x'\ntries = 'y'\nsettings = {}\nextra = 1\n",
        "[[script]]\nid = 'x'\ntries = 'y'\nscript = 'none.py'\n",
        "[[script]]\nid = 'x'\ntries = 'y'\nscript = 'plain_gpt.py'\n" * 2,
        "not TOML",
    ],
)
def test_a_malformed_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(text)
    with pytest.raises(RequestError):
        load_cases(path)
