"""Where text for people goes: what a stream can show, and the one way to write to it.

This is the only module that knows of NO_COLOR, FORCE_COLOR, CI, TERM and pipes. What is written is a list of
blocks (see ``blocks``), with an empty line between them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console, Group

from nanocheck.core.scrub import disarm
from nanocheck.report.blocks import Block, Prose, prose, stack, words

#: A pipe or a file has no edge: there each row of a table is one line, as grep wants it.
_NO_EDGE = 1000
#: A terminal that does not say how wide it is.
_USUAL = 80


def show(blocks: Sequence[Block], stream: TextIO | None = None) -> None:
    """Write blocks to a stream, standard output by default.

    Raises:
        OSError: the stream cannot be written, such as a ``BrokenPipeError``.
    """
    stream = sys.stdout if stream is None else stream
    text = _rendered(blocks, columns(stream), coloured=_is_coloured(stream, os.environ))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def say(blocks: Sequence[Block]) -> None:
    """Blocks of ours beside a script's output, as ``core.messages.say`` does with a line: on stderr, and a
    terminal that is gone costs nothing.

    Args:
        blocks: the first begins with prose, which gets the sign that it is ours.
    """
    first, *others = blocks
    with contextlib.suppress(OSError, ValueError):
        show([_as_ours(first), *others], sys.stderr)


def as_text(blocks: Sequence[Block], width: int = 100) -> str:
    """What ``show`` writes to a terminal without colours that has so many columns."""
    return _rendered(blocks, width)


def live_console(stream: TextIO, environment: Mapping[str, str] | None = None) -> Console:
    """A console for what is redrawn on a stream that ``is_watched``, with colours where it shows them.

    Args:
        environment: ``os.environ`` by default.
    """
    known = os.environ if environment is None else environment
    return _console(stream, columns(stream, known), coloured=_is_coloured(stream, known), live=True)


def columns(stream: TextIO, environment: Mapping[str, str] | None = None) -> int:
    """Columns of a stream: what COLUMNS says, or its terminal."""
    known = os.environ if environment is None else environment
    said = known.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    if not _is_terminal(stream):
        return _NO_EDGE
    with contextlib.suppress(OSError, ValueError):  # a stream that only says that it is a terminal
        return os.get_terminal_size(stream.fileno()).columns or _USUAL
    return _USUAL


def is_watched(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether somebody looks at the stream while it is written, and a line on it may be taken back.

    Nobody does in CI, and under pytest the terminal is pytest's.
    """
    known = os.environ if environment is None else environment
    return (
        _is_terminal(stream)
        and not _is_dumb(known)
        and not known.get("CI")
        and not known.get("PYTEST_VERSION")
    )


def _as_ours(block: Block) -> Block:
    if isinstance(block, Prose):
        return dataclasses.replace(block, text=words("nanocheck: ", block.text))
    if isinstance(block, Group) and block.renderables:
        first, *others = block.renderables
        return stack(_as_ours(first), *others)
    return stack(prose("nanocheck:"), block)


def _is_coloured(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """In the order of no-color.org and force-color.org, where an empty value says nothing."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return _is_terminal(stream) and not _is_dumb(environment) and not environment.get("CI")


def _is_dumb(environment: Mapping[str, str]) -> bool:
    return environment.get("TERM") in ("dumb", "unknown")


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # ValueError: it is closed
        return False


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:
        """The cursor stays: a process that is stopped (Ctrl-Z) or killed could not bring it back."""
        return False


def _console(stream: TextIO, width: int, *, coloured: bool, live: bool = False) -> Console:
    """Every setting is given: what is not, rich would look for in variables of its own."""
    return _Console(
        file=stream,
        width=width,
        height=25,
        color_system="standard" if coloured else None,
        no_color=not coloured,
        force_terminal=live,
        force_interactive=live,
        force_jupyter=False,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )


def _rendered(blocks: Sequence[Block], width: int, *, coloured: bool = False) -> str:
    """The blocks as one text, without a line end after the last.

    Rich never writes to the stream itself: what it does about a reader that left is not what we do.
    """
    found = []
    for block in blocks:
        stream = io.StringIO()
        # Not cropped: what is longer than the terminal, such as a path, goes on in its next line.
        _console(stream, width, coloured=coloured).print(stack(block), crop=False, end="")
        # Rich fills lines of a table with spaces.
        lines = [line.rstrip() for line in stream.getvalue().split("\n")]
        found.append("\n".join(lines).rstrip("\n"))
    return disarm("\n\n".join(block for block in found if block))
