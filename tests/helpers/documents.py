"""What people read in the repository: its pages, and what stands in their blocks of code."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from paths import ROOT

DOCS = ROOT / "docs"
README = ROOT / "README.md"
SITE = sorted(DOCS.rglob("*.md"))
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "SKILL.md", ROOT / "llms.txt", *SITE]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script(path: Path) -> ModuleType:
    """A program of the repository that lies in no package, as a module."""
    spec = importlib.util.spec_from_file_location(f"nanocheck_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


def name(path: Path) -> str:
    """A page as tests call it."""
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each block of code."""
    for found in _BLOCK.finditer(page.read_text()):
        yield found[1], found[2]


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _BLOCK.sub("", page.read_text())


def commands(page: Path) -> Iterator[list[str]]:
    """Every command line that a page tells its reader to type, as words."""
    for language, text in blocks(page):
        if language in ("", "console"):
            for line in text.splitlines():
                typed = line.removeprefix("$ ") if language == "console" else line
                if language == "console" and typed == line:
                    continue
                for part in re.split(r"\s#\s", typed)[0].split(" && "):
                    # A block may also be output or a drawing: its lines begin with no program of ours.
                    if re.match(r"(NANOCHECK_\w+=\S+ )?(nanocheck|pytest|python) [^:]*$", part) is not None:
                        yield [each for each in shlex.split(part) if not each.startswith("NANOCHECK_")]


@dataclass(frozen=True, kw_only=True)
class Example:
    """Commands of a page with what they are shown to say; ``...`` stands for anything."""

    page: str
    steps: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def first(self) -> str:
        return self.steps[0][0]


def examples() -> Iterator[Example]:
    for page in DOCUMENTS:
        for language, text in blocks(page):
            if language == "console":
                steps = []
                for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                    command, _, output = part.partition("\n")
                    pieces = re.split(r"\.\.\.$", output, flags=re.MULTILINE)
                    steps.append((command, tuple(each for each in map(one_line, pieces) if each)))
                yield Example(page=name(page), steps=tuple(steps))


def one_line(text: str) -> str:
    """Text without the places where a terminal wrapped it."""
    return " ".join(text.split())
