"""Writes the parts of the documentation that come from the code. Run from anywhere; commit what changes.

The command line's page is made from the parser's own actions, not from its help: that is wrapped to a
terminal, and worded differently by different versions of Python.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from nanocheck import cli, pytest_plugin
from nanocheck.calibrate.workloads import Workload, workloads
from nanocheck.core import calibration, drift, errors, kernels, process_memory, result, verdict
from nanocheck.core.run_diff import schema_of_diff
from nanocheck.core.step_fields import StepFields
from nanocheck.pytest_plugin import hooks, memory_suite, plugin, settings, training_suite
from nanocheck.report import verified_table
from nanocheck.report.run_file import json_schema
from nanocheck.verify.cases import Case, load_cases
from nanocheck.verify.record import VerifyFile, schema_of_file

HERE = Path(__file__).parent
VERIFIED = HERE.parent / "baselines" / "verified"
MADE = "<!-- Made by `python docs/generate.py` from the code: edit that. -->\n"


def main() -> None:
    for name, text in pages().items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def pages() -> Mapping[str, str]:
    """Every file that is generated, by its path in docs/."""
    return {
        "run-result.schema.json": json.dumps(json_schema(), indent=1) + "\n",
        "run-diff.schema.json": json.dumps(schema_of_diff(), indent=1) + "\n",
        "verify.schema.json": json.dumps(schema_of_file(), indent=1) + "\n",
        "calibration.schema.json": json.dumps(calibration.schema_of_file(), indent=1) + "\n",
        "drift.schema.json": json.dumps(drift.schema_of_file(), indent=1) + "\n",
        "calibrate.md": calibrated(workloads()),
        "verified.md": verified(verified_table.load_all(VERIFIED), load_cases()),
        "reference/commands.md": commands(),
        "reference/pytest.md": pytest_options(),
        "reference/run-result.md": run_result(),
        "reference/exit-codes.md": exit_codes(),
    }


# --- the command line --------------------------------------------------------------------------------------


def commands() -> str:
    modules = {module.__name__.rpartition(".")[2]: module for module in cli.VERBS}
    parser = cli.build_parser()
    verbs = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction)).choices
    overview = table(
        ("verb", "what it does"),
        ((f"[{name}](#nanocheck-{name})", summary(modules[name])) for name in verbs),
    )
    text = f"""{MADE}
# Commands

`nanocheck VERB --help` says the same on a terminal, `nanocheck --version` the version. What the commands
return: [exit codes](exit-codes.md). The suites are pytest's: [pytest](pytest.md).

{overview}"""
    return text + "".join(verb(modules[name], each) for name, each in verbs.items())


def verb(module: ModuleType, parser: argparse.ArgumentParser) -> str:
    actions = [each for each in parser._actions if not isinstance(each, argparse._HelpAction)]
    rows = []
    for action in actions:
        text, default = meaning(action)
        rows.append((f"`{written(action)}`", text, default))
    return f"""
## {parser.prog}

{markdown(inspect.getdoc(module) or "")}

```
{parser.usage or usage(parser.prog, actions)}
```

{table(("argument", "meaning", "default"), rows)}"""


def usage(prog: str, actions: Sequence[argparse.Action]) -> str:
    required = [written(each) for each in actions if each.option_strings and each.required]
    positional = [
        {"*": f"[{each.metavar} ...]", "?": f"[{each.metavar}]"}.get(str(each.nargs), str(each.metavar))
        for each in actions
        if not each.option_strings
    ]
    return " ".join([prog, *required, "[options]", *positional])


def written(action: argparse.Action) -> str:
    """An argument as one types it: ``--reserve SIZE``, ``--device {auto,real,virtual}``, ``FILE``."""
    if not action.option_strings:
        return str(action.metavar or action.dest)
    value = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else "")
    return f"{', '.join(action.option_strings)} {value if action.nargs != 0 else ''}".rstrip()


def meaning(action: argparse.Action) -> tuple[str, str]:
    """What an argument means, and its default: as its help words it, else the parser's own."""
    text, worded = without_default(str(action.help or ""))
    if worded is None and action.required and action.option_strings:
        return text, "required"
    own = "" if action.default in (None, False, [], "") else f"`{action.default}`"
    return text, own if worded is None else worded


def without_default(text: str) -> tuple[str, str | None]:
    """A help text as two cells: without the default that it ends with, and that default, if there is one."""
    found = re.fullmatch(r"(.*?)\s*\(default:? (.*)\)", text, re.DOTALL)
    if found is None:
        return cell(text), None
    default = "" if found[2] == "none" else found[2]
    return cell(found[1]), f"`{default}`" if default and " " not in default else cell(default)


# --- pytest ------------------------------------------------------------------------------------------------


class Parser:
    """Stands in for pytest's, and keeps what the plugin registers."""

    def __init__(self) -> None:
        self.options: list[tuple[str, dict[str, Any]]] = []
        self.ini: list[str] = []

    def getgroup(self, *_: Any, **__: Any) -> Parser:
        return self

    def addoption(self, name: str, **options: Any) -> None:
        self.options.append((name, options))

    def addini(self, name: str, *_: Any, **__: Any) -> None:
        self.ini.append(name)


def pytest_options() -> str:
    parser = Parser()
    settings.add_options(parser)  # type: ignore[arg-type]
    rows = []
    for name, options in parser.options:
        text, default = without_default(options["help"])
        ini = options["dest"] if options["dest"] in parser.ini else ""
        rows.append((f"`{name}`", text, default or "", f"`{ini}`" if ini else ""))
    found = (
        f"### {name}\n\n```python\n{signature}\n```\n\n{markdown(doc)}\n"
        for name, signature, doc in hooks_of(hooks)
    )
    return f"""{MADE}
# pytest

Every setting of the plugin `pytest-nanocheck`: the option where it is given, else the ini value of the
project's configuration, else the default. An ini value stands in `[tool.pytest.ini_options]` of
`pyproject.toml`, or in `pytest.ini`; its paths are relative to the project, an option's to where the command
was given.

## Options

{table(("option", "meaning", "default", "ini value"), rows)}
## Fixtures

{markdown(inspect.getdoc(plugin) or "")}

{markdown(after_summary(memory_suite))}

{markdown(after_summary(training_suite))}

{table(("fixture", "gives"), fixtures())}
## Hooks

{markdown(inspect.getdoc(hooks) or "")}

{"".join(found)}"""


def fixtures() -> Iterator[tuple[str, str]]:
    """Every fixture of the plugin; read from its sources, since pytest wraps them differently by version."""
    for path in sorted(Path(pytest_plugin.__path__[0]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(
                "fixture" in ast.unparse(each) for each in node.decorator_list
            ):
                yield f"`{node.name}`", cell(summary_of(ast.get_docstring(node) or ""))


def hooks_of(module: ModuleType) -> Iterator[tuple[str, str, str]]:
    """Name, signature and docstring of each."""
    for name, function in vars(module).items():
        if name.startswith("pytest_") and inspect.isfunction(function):
            signature = f"def {name}{inspect.signature(function)}".replace("'", "")
            yield name, signature, inspect.getdoc(function) or ""


# --- the result of a run -----------------------------------------------------------------------------------


def run_result() -> str:
    types = json_schema()["$defs"]
    return f"""{MADE}
# The result of a run

What `nanocheck run --json FILE` writes: a [RunFile](#runfile), which holds the [RunResult](#runresult) and
its [Verdict](#verdict). The JSON Schema, for programs: [run-result.schema.json](../run-result.schema.json).
Sizes are bytes.
{"".join(described(name, found) for name, found in types.items())}"""


def described(name: str, found: Mapping[str, Any]) -> str:
    doc = inspect.getdoc(StepFields) if name == "StepConfig" else found["description"]
    text, fields = attributes(str(doc), tuple(found.get("properties", {})))
    if "enum" in found:
        # In the order in which they are written down: the schema sorts them.
        homes = (result, process_memory, verdict, kernels)
        members = next(vars(each)[name] for each in homes if name in vars(each))
        body = "One of " + ", ".join(f"`{each.value}`" for each in members) + ".\n"
    else:
        required = found.get("required", ())
        body = table(
            ("field", "type", "default", "meaning"),
            (
                (
                    f"`{field}`",
                    type_of(kind),
                    "" if field in required else f"`{json.dumps(kind['default'])}`",
                    cell(fields.get(field, "")),
                )
                for field, kind in found["properties"].items()
            ),
        )
    return f"\n## {name}\n\n{markdown(text)}\n\n{body}"


def type_of(kind: Mapping[str, Any]) -> str:
    if "$ref" in kind:
        name = str(kind["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in kind:
        return " or ".join(type_of(each) for each in kind["anyOf"])
    if kind.get("type") == "array":
        items = kind.get("items") or {}
        return f"list of {type_of(items)}" if items else "list"
    if kind.get("type") == "object" and isinstance(kind.get("additionalProperties"), Mapping):
        return f"mapping to {type_of(kind['additionalProperties'])}"
    return str(kind.get("type", "any"))


def attributes(doc: str, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A docstring's text, and what its "Attributes" say of each field.

    Several fields may share an entry (``a, b: ...``), and an entry may go on with another (``... c: ...``).
    """
    text, _, entries = doc.partition("\nAttributes:\n")
    entries = re.split(r"\n(?:Raises|Args):\n", entries)[0]
    text = re.split(r"\n(?:Raises|Args):\n", text)[0]
    known = "|".join(map(re.escape, names)) or "$^"
    parts = re.split(rf"(?:^|(?<=\. )|(?<=\n))\s*((?:{known})(?:, (?:{known}))*): ", entries)
    found = {}
    for left, right in zip(parts[1::2], parts[2::2], strict=True):
        found.update(dict.fromkeys(left.split(", "), " ".join(right.split()).rstrip(".")))
    return text.strip(), found


# --- exit codes --------------------------------------------------------------------------------------------


def exit_codes() -> str:
    doc = inspect.getdoc(errors) or ""
    rows = [line.split(maxsplit=1) for line in doc.splitlines() if line[:1].isdigit()]
    before, after = re.split(r"=+ +=+\n.*=+ +=+", doc, flags=re.DOTALL)
    kinds = [
        (f"`{name}`", str(each.exit_code), cell(summary_of(inspect.getdoc(each) or "")))
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, errors.NanocheckError)
    ]
    verdicts = [(f"`{kind}`", str(code), cell(meaning)) for kind, (code, meaning) in verdict.MEANINGS.items()]
    return f"""{MADE}
# Exit codes

{markdown(before)}

## nanocheck

{table(("exit code", "meaning"), ((code, cell(text)) for code, text in rows))}
{markdown(after)}

## Verdicts, and the exit code of `nanocheck run --check`

{table(("verdict", "`--check`", "meaning"), verdicts)}

A time limit (124) and Ctrl-C (130) keep their codes. Only *safe* and *tight* promise that the run finishes on
the card.

## pytest

Codes of `pytest suites/` are [pytest's own](https://docs.pytest.org/en/stable/reference/exit-codes.html), and
one more.

| exit code | meaning |
|---|---|
| 0 | all tests passed, or were skipped as stale |
| 1 | a test failed, or the report could not be written |
| 2 | interrupted |
| 3 | this machine cannot do it (as above), or pytest failed internally |
| 4 | the request was wrong: unknown GPU, malformed matrix, bad option |
| 5 | no test was collected |

## Errors in Python

{table(("class of `nanocheck.core.errors`", "exit code", "raised for"), kinds)}"""


# --- verified against real cards ---------------------------------------------------------------------------


def verified(files: Mapping[str, VerifyFile], cases: Sequence[Case]) -> str:
    """The page, its prose as it stands there: the contributed files, and what ``nanocheck verify`` runs."""
    tried = (
        (f"`{case.id}`", "script" if case.script else "configuration", cell(case.tries)) for case in cases
    )
    page = filled((HERE / "verified.md").read_text(), "baselines/verified", contributed(files))
    return filled(page, "nanocheck/verify/cases.toml", table(("case", "kind", "tries"), tried))


def calibrated(found: Sequence[Workload]) -> str:
    """The page, its prose as it stands there: what ``nanocheck calibrate`` measures."""
    rows = (
        (f"`{each.id}`", cell(each.what), "" if each.kernel is None else each.kernel.dtype) for each in found
    )
    page = (HERE / "calibrate.md").read_text()
    return filled(page, "nanocheck/calibrate/workloads.py", table(("id", "what", "computes in"), rows))


def contributed(files: Mapping[str, VerifyFile]) -> str:
    """Tables of real cards, of what differs there, and of stand-ins."""
    rows, others = verified_table.verified(files), verified_table.stand_ins(files)
    differing = [[cell(each) for each in row] for row in verified_table.differing(files)]
    parts = [table(verified_table.HEAD, rows) if rows else f"**{verified_table.NOBODY}**\n"]
    if differing:
        parts.append(f"Every difference:\n\n{table(('file', 'case', 'what'), differing)}")
    if others:
        parts.append(f"These only show what a file looks like:\n\n{table(verified_table.HEAD, others)}")
    return "\n".join(parts)


def filled(page: str, source: str, text: str) -> str:
    """The page with another text between the two marks of a source."""
    mark = f"<!-- Made by `python docs/generate.py` from {source}. -->\n"
    before, _, rest = page.partition(mark)
    assert rest, f"no mark for {source}"
    return before + mark + "\n" + text + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]


# --- Markdown ----------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns in which nothing stands are left out."""
    rows = list(rows)
    used = [place for place in range(len(head)) if any(row[place] for row in rows)]
    lines = [[row[place] for place in used] for row in (head, ["---"] * len(head), *rows)]
    return "".join("| " + " | ".join(each) + " |\n" for each in lines)


def cell(text: str) -> str:
    """A line of a docstring or help text as a cell: its literals as code."""
    return " ".join(literals(text).split()).replace("|", "&#124;")


def literals(text: str) -> str:
    """Literals of reStructuredText as code, and no other markup."""
    parts = text.replace("``", "`").split("`")
    parts[::2] = [each.replace("<", "&lt;").replace("*", r"\*") for each in parts[::2]]
    return "`".join(parts)


def markdown(doc: str) -> str:
    """A docstring as Markdown: literals, and a block after ``::`` as code."""
    found, code = [], False
    for paragraph in re.split(r"\n\s*\n", doc.strip()):
        if code and paragraph.startswith("    "):
            lines = [line.removeprefix("    ") for line in paragraph.splitlines()]
            found.append("```python\n" + "\n".join(lines) + "\n```")
            continue
        code = paragraph.endswith("::")
        found.append(literals(paragraph[:-1] if code else paragraph))
    return "\n\n".join(found)


def summary(module: ModuleType) -> str:
    return cell(summary_of(inspect.getdoc(module) or ""))


def after_summary(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n\n")[2]


def summary_of(doc: str) -> str:
    """Its first paragraph."""
    return doc.split("\n\n")[0]


if __name__ == "__main__":
    main()
