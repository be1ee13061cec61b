"""Links lead somewhere, paths exist, and commands are understood."""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from documents import DOCUMENTS, README, SITE, commands, name, prose
from paths import ROOT

from nanocheck.cli import build_parser
from nanocheck.pytest_plugin import settings

each_document = pytest.mark.parametrize("page", DOCUMENTS, ids=name)
LINK = re.compile(r"\[[^\]]*\]\(\s*([^)\s]+)\s*\)")
#: A path as pages write one: it begins with a folder of the repository.
PATH = re.compile(
    r"(?<![\w./-])(?:baselines|benchmarks|docs|nanocheck|reports|suites|tests)(?:/[\w.*<>-]+)+/?"
)
#: What comes into being where somebody works, or stands for several.
NOT_THERE = {"suites/memory/mine.toml", "reports/rtx4070.svg"}


def anchors(page: Path) -> set[str]:
    """Of its headings, as Markdown's table of contents and GitHub both make them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", each).strip().lower() for each in headings)
    return {re.sub(r"\s+", "-", each) for each in plain}


@each_document
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{name(page)}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors(found), f"{name(page)}: {link}: no such heading"


@each_document
def test_paths_exist(page: Path) -> None:
    for path in PATH.findall(page.read_text()):
        path = path.rstrip(".")
        if "<" in path or path in NOT_THERE:
            continue
        assert list(ROOT.glob(path)), f"{name(page)}: {path} does not exist"


@each_document
def test_no_machine_is_named(page: Path) -> None:
    found = re.findall(r"(?<![\w.~-])/(?:home|opt|root|tmp|usr|work)/\S*|\blocalhost\b", page.read_text())
    assert not found, f"{name(page)}: {found}"


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    for page in SITE:
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in text


@each_document
def test_commands_are_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Verbs and options are there, files exist; nothing is run."""
    problems = []
    for words in commands(page):
        if "[options]" in words:  # a usage
            continue
        try:
            {"nanocheck": understood_by_us, "pytest": understood_by_pytest, "python": a_file_of_ours}[
                words[0]
            ](words)
        except (SystemExit, AssertionError) as error:
            problems.append(f"{' '.join(words)}: {error} {capsys.readouterr().err.strip()[-200:]}")
    assert not problems, "\n".join([f"{name(page)}:", *problems])


def understood_by_us(words: list[str]) -> None:
    if words[1] != "VERB":
        build_parser().parse_args(words[1:])


def understood_by_pytest(words: list[str]) -> None:
    """The plugin's options and pytest's own that pages use."""
    parser = argparse.ArgumentParser(prog="pytest", allow_abbrev=False, add_help=False)
    for option in ("-k", "-m", "-n", "--dist", "--junitxml", "--properties"):
        parser.add_argument(option)
    parser.add_argument("--help", "-q", action="store_true")
    parser.add_argument("paths", nargs="*")
    group = SimpleNamespace(addoption=parser.add_argument)
    registrar: Any = SimpleNamespace(getgroup=lambda *_: group, addini=lambda *_, **__: None)
    settings.add_options(registrar)
    for path in parser.parse_args(words[1:]).paths:
        file, _, test = path.partition("::")
        assert (ROOT / file).exists(), f"{file} does not exist"
        if test:
            assert f"def {test.partition('[')[0]}(" in (ROOT / file).read_text(), f"no test {test}"


def a_file_of_ours(words: list[str]) -> None:
    if words[1].endswith(".py"):
        assert (ROOT / words[1]).exists(), f"{words[1]} does not exist"


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_the_readme_says_why_each_dependency_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = README.read_text()
    wanted = [
        *project["dependencies"],
        *(each for found in project["optional-dependencies"].values() for each in found),
    ]
    named = {re.split(r"[><=]", each)[0] for each in wanted}
    missing = {each for each in named if each not in text and not re.search(r"^types-|-stubs$", each)}
    assert not missing
