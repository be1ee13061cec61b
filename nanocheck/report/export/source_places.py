"""Where in a repository a line of a run is, so that other programs can show it there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nanocheck.core.anonymous import portable
from nanocheck.report.export.card_run import CardRun

#: A longer file is not looked into for the function around a line.
_LARGEST_BYTES = 4 << 20
_MATRIX = "suites/memory/matrix.toml"


class SourcePlace(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a file.

    Attributes:
        path: from the repository's root, with ``/``.
        number: of the line, from 1. line: its text, where it is known.
        function: around it, such as ``Trainer.step``; empty outside of any, or where the file is another now.
    """

    path: str
    number: int = 1
    line: str | None = None
    function: str = ""


class SourcePlaces:
    """
    Args:
        folder: the command's, from which a result names the script's files.
        given: ``FILE`` or ``FILE:LINE`` from that folder, for what has no line of the repository.
    """

    def __init__(self, folder: Path, given: str | None = None) -> None:
        self._folder = folder.resolve()
        self._root = next(
            (each for each in (self._folder, *self._folder.parents) if (each / ".git").exists()), self._folder
        )
        self._given = given

    def find(self, where: str | None, line: str | None = None) -> SourcePlace | None:
        """The place that a result calls ``where``; ``None`` where no file of the repository is meant."""
        name, _, number = (where or "").rpartition(":")
        if not name or not number.isascii() or not number.isdigit() or not 0 < int(number) < 1 << 31:
            return None
        file = self._file(name)
        if file is None:
            return None
        return SourcePlace(
            path=file.relative_to(self._root).as_posix(),
            number=int(number),
            line=None if line is None else portable(line),
            function=_function_at(file, int(number), line),
        )

    def instead(self, run: CardRun | None) -> SourcePlace | None:
        """The given place; else the file of a test, the script of a command, a configuration's matrix."""
        if self._given is not None:
            return self.find(self._given) or self.find(f"{self._given}:1")
        for name in () if run is None else _files_of(run):
            found = self.find(f"{name}:1")
            if found is not None:
                return found
        return None

    def _file(self, name: str) -> Path | None:
        """From the folder, as a run says it, or from the root, as a comparison of two revisions does; where a
        link leads, that must be inside, too.
        """
        for folder in (self._folder, self._root):
            try:
                file = (folder / name).resolve()
                if file.is_relative_to(self._root) and file.is_file():
                    return file
            except (OSError, RuntimeError, ValueError):  # too long, a circle of links, a null character
                return None
        return None


def _files_of(run: CardRun) -> Iterator[str]:
    if run.result is not None and run.result.test is not None:
        yield run.result.test.partition("::")[0]  # whose path may have spaces
    # A shell's command is one word: bash -c "python train.py".
    words = [each.partition("::")[0] for word in run.command or (run.name,) for each in word.split()]
    yield from (each for each in words if each.endswith(".py"))
    if run.configuration:
        yield _MATRIX


def _function_at(file: Path, number: int, line: str | None) -> str:
    """The innermost function, or class, around a line that still says what it said in the run."""
    try:
        if file.suffix != ".py" or file.stat().st_size > _LARGEST_BYTES:
            return ""
        text = file.read_text(encoding="utf-8")
        lines = text.splitlines()
        if number > len(lines) or (line is not None and lines[number - 1].strip() != line.strip()):
            return ""
        tree: ast.AST = ast.parse(text)
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return ""
    names: list[str] = []
    scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    inner: ast.AST | None = tree
    while inner is not None:
        inside = [each for each in ast.walk(inner) if each is not inner and isinstance(each, scopes)]
        # Walked by levels, so that the first which holds the line is the outermost.
        inner = next((each for each in inside if each.lineno <= number <= (each.end_lineno or 0)), None)
        if inner is not None:
            names.append(inner.name)
    return ".".join(names)
