"""Where in the script an allocation comes from: file, line, source text, and its shape where known.

For code that Inductor generated, the line that allocates is ``buf1 = empty_strided_cuda((8, 1024), ...)``;
the comment above the kernel that first writes the buffer names the nodes of the user's graph (``Topologically
Sorted Source Nodes: [logits, loss], Original ATen: [...]``), and Dynamo knew the source line of each. Whether
the loss makes or reads a buffer is known from the same comments.
"""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.journal_entries import Frame
from nanocheck.core.stacks import CodeFrame
from nanocheck.observe.library_frames import is_library, is_loop, own_frame

_ALLOCATES = re.compile(r"empty_strided\w*\(\(([\d, ]*)\), \([\d, ]*\), torch\.(\w+)")
_SOURCES = re.compile(r"# Topologically Sorted Source Nodes: \[([^\]]*)\](?:, Original ATen: \[([^\]]*)\])?")
#: Inductor names its files by 51 digits of base 32.
_GENERATED = re.compile(r"/c[a-z2-7]{50,}\.py$")
#: What is computed in the end counts: a zero that nll_loss_forward once made is shared with other kernels.
_LOSS_OPERATORS = re.compile(r"log_softmax|cross_entropy|nll_loss\w*$")
_CALLS = 4  # that are kept of a stack
_LOOK_AHEAD = 60  # lines from an allocation to the comment of the kernel that writes it
_ITEM_BYTES = {
    "float64": 8, "int64": 8, "complex64": 8, "float32": 4, "int32": 4, "bfloat16": 2, "float16": 2,
    "int16": 2, "int8": 1, "uint8": 1, "bool": 1, "float8_e4m3fn": 1, "float8_e5m2": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A line that allocates.

    ``where``: ``file:line``; ``line``: its text; ``of_loss``: compiled, and the loss's; ``in_source``: the
    line is of the script or its libraries, not of a file that a compiler wrote.
    """

    where: str | None = None
    line: str | None = None
    shape: tuple[int, ...] | None = None
    bytes_of_shape: int | None = None
    dtype: str | None = None
    of_loss: bool = False
    in_source: bool = True


class Places:
    """Of one process; each stack is looked up once.

    Args:
        libraries: folders whose frames are nobody's own; see ``is_library``.
        folder: paths below it are shown from there on.
        stacks: of the process, by number. graphs: lines of the nodes of the graphs it compiled.
    """

    def __init__(
        self,
        libraries: Sequence[str],
        folder: str | None,
        stacks: Sequence[Sequence[Frame]] = (),
        graphs: Sequence[Mapping[str, Frame]] = (),
    ) -> None:
        self._libraries, self._folder = libraries, folder
        self._stacks, self._graphs = stacks, graphs
        self._known: dict[int, Place] = {}
        self._known_calls: dict[int, tuple[CodeFrame, ...]] = {}

    @classmethod
    def of(cls, seen: Observation) -> Places:
        """Of a process that was observed."""
        libraries = ("", "", "") if seen.start is None else seen.start.libraries
        folder = None if seen.start is None else seen.start.folder
        return cls(libraries, folder, seen.stacks, seen.graphs)

    def of_stack(self, stack: int) -> Place:
        """The place of a stack by its number; an empty one for no stack."""
        if not 0 <= stack < len(self._stacks):
            return Place()
        if stack not in self._known:
            self._known[stack] = self.of_frames(self._stacks[stack])
        return self._known[stack]

    def calls_of(self, stack: int) -> tuple[CodeFrame, ...]:
        """Of a stack by its number: see ``calls``; none for no stack."""
        if not 0 <= stack < len(self._stacks):
            return ()
        if stack not in self._known_calls:
            self._known_calls[stack] = self.calls(self._stacks[stack])
        return self._known_calls[stack]

    def calls(self, frames: Sequence[Frame]) -> tuple[CodeFrame, ...]:
        """The script's own frames of a stack and of the models it uses, innermost first, a few of them."""
        own = [each for each in frames if not is_library(each[0], self._libraries)]
        own = [each for each in own if not _GENERATED.search(each[0])]
        chosen = [each for each in own if not is_loop(each[0])] or own[:1]
        generated = self._generated(frames)
        source = None if generated is None else self._line_of(_sources(generated)[0])
        if source is not None and source not in chosen[:1]:
            chosen.insert(0, source)
        return tuple(
            CodeFrame(where=self._name(each), function=each[2], line=_text(each)) for each in chosen[:_CALLS]
        )

    def of_frame(self, frame: Frame | None) -> Place:
        """The place of one frame."""
        return Place() if frame is None else Place(self._name(frame), _text(frame))

    def named(self, where: str) -> str:
        """``file:line`` of the interpreter, as everything here names a place."""
        file, _, line = where.rpartition(":")
        return self._name((file, int(line), "")) if file and line.isdecimal() else where

    def of_frames(self, frames: Sequence[Frame]) -> Place:
        """The place of a stack, innermost frame first."""
        generated = self._generated(frames)
        if generated is None:
            return self.of_frame(self._own(frames))
        return self._of_generated(generated)

    @staticmethod
    def _generated(frames: Sequence[Frame]) -> Frame | None:
        """The frame of code that a compiler wrote in which a stack allocates."""
        return next((each for each in frames[:3] if _ALLOCATES.search(_text(each) or "")), None)

    def up_to_script(self, frames: Sequence[Frame]) -> tuple[Frame, ...]:
        """The frames of a stack up to the script's own line; all where it has none."""
        own = self._own(frames)
        return tuple(frames if own is None else frames[: frames.index(own) + 1])

    def _own(self, frames: Sequence[Frame]) -> Frame | None:
        return own_frame((each for each in frames if not _GENERATED.search(each[0])), self._libraries)

    def _of_generated(self, frame: Frame) -> Place:
        text = _text(frame) or ""
        shape, size = tensor_of(text)
        nodes, of_loss = _sources(frame)
        source = self._line_of(nodes)
        if source is not None:
            found = self.of_frame(source)
        else:
            name = f"generated code {PurePath(frame[0]).name[:9]}...py:{frame[1]}"
            found = Place(name, text, in_source=False)
        dtype = _ALLOCATES.search(text)
        return replace(
            found,
            shape=shape,
            bytes_of_shape=size,
            dtype=None if dtype is None else dtype.group(2),
            of_loss=of_loss,
        )

    def _line_of(self, nodes: Sequence[str]) -> Frame | None:
        """The line of the last node that is known: what the kernel computes in the end."""
        best: tuple[int, Frame] | None = None
        for graph in self._graphs:
            known = [graph[name] for name in nodes if name in graph]
            if known and (best is None or len(known) > best[0]):
                best = (len(known), known[-1])
        return None if best is None else best[1]

    def _name(self, frame: Frame) -> str:
        path = PurePath(frame[0])
        for part in ("site-packages", "dist-packages"):
            if part in path.parts:
                path = PurePath(*path.parts[path.parts.index(part) + 1 :])
        if self._folder and path.is_relative_to(self._folder):
            path = path.relative_to(self._folder)
        return f"{path}:{frame[1]}"


def tensor_of(text: str) -> tuple[tuple[int, ...] | None, int | None]:
    """Shape and bytes of the tensor that a line of generated code makes."""
    found = _ALLOCATES.search(text)
    if found is None:
        return None, None
    shape = tuple(int(each) for each in found.group(1).replace(" ", "").split(",") if each)
    item = _ITEM_BYTES.get(found.group(2))
    return shape, None if item is None else math.prod(shape) * item


def _sources(frame: Frame) -> tuple[list[str], bool]:
    """Names of the graph's nodes for the buffer that a generated line allocates; whether it is the loss's."""
    buffer = re.match(r"\w+", _text(frame) or "")
    uses = re.compile(rf"\b{buffer.group()}\b") if buffer else None
    names: list[str] | None = None
    operators = ""
    for number in range(frame[1] + 1, frame[1] + _LOOK_AHEAD):
        line = linecache.getline(frame[0], number)
        found = _SOURCES.search(line)
        if found is not None:
            operators = found.group(2) or ""
            if names is None:
                names = [each.strip() for each in found.group(1).split(",") if each.strip()]
                if _LOSS_OPERATORS.search(operators):
                    return names, True
        elif uses and ".run(" in line and uses.search(line) and _LOSS_OPERATORS.search(operators):
            return names or [], True
        elif uses and line.strip().startswith("del ") and uses.search(line):
            break
    return names or [], False


def _text(frame: Frame) -> str | None:
    return linecache.getline(frame[0], frame[1]).strip() or None
