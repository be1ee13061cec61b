"""Lines of compiled code that was taken from Inductor's cache, as the source has them now.

With cached code comes the traceback of each line as it was when the code was generated; PyTorch puts it into
the stacks of allocations (``PyCodeCache.stack_frames_for_code``). The key of the cache is the graph alone, so
another copy of the same project, or a file with a comment more, would be named by the old file and line.
Dynamo traces anew each time: a frame with the same file name, function and text has the place of now.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

_FRAME = re.compile(r'File "([^"\n]+)", line (\d+), in ([^\n]+)\n[ \t]+([^\n]+)')
#: (file name, function, text of the line): all files and lines that Dynamo has met it at.
_Now = dict[tuple[str, str, str], set[tuple[str, int]]]
_now: _Now = {}
_renewed: set[str] = set()


def remember(graph: Any) -> None:
    """The frames of a graph that Dynamo has just traced. Called before Inductor is."""
    for node in graph.graph.nodes:
        for file, line, function, text in _FRAME.findall(node.meta.get("stack_trace") or ""):
            _now.setdefault((PurePath(file).name, function, text), set()).add((file, int(line)))
    _install()


def renewed(trace: str, now: _Now) -> str:
    """A traceback of the cache with the places of now; frames that are met nowhere stay."""
    return _FRAME.sub(lambda found: _of_now(found[0], found.groups(), now), trace)


def _of_now(frame: str, parts: Sequence[str], now: _Now) -> str:
    file, line, function, text = parts[0], int(parts[1]), parts[2], parts[3]
    places = now.get((PurePath(file).name, function, text))
    if not places or (file, line) in places:
        return frame
    # The same text twice in a function: the nearest line is taken.
    file, line = min(places, key=lambda each: (abs(each[1] - line), each))
    return f'File "{file}", line {line}, in {function}\n    {text}'


def _install() -> None:
    """Once Inductor's cache is there: what it says of a file is renewed when it is first asked."""
    code_cache = getattr(sys.modules.get("torch._inductor.codecache"), "PyCodeCache", None)
    original = getattr(code_cache, "stack_frames_for_code", None)
    if code_cache is None or original is None or getattr(original, "renews", False):
        return

    def stack_frames_for_code(path: str, line: int) -> Any:
        with contextlib.suppress(Exception):
            if path not in _renewed and code_cache.linemaps.get(path):
                _renewed.add(path)
                starts, traces = code_cache.linemaps[path]
                code_cache.linemaps[path] = (starts, [each and renewed(each, _now) for each in traces])
        return original(path, line)

    stack_frames_for_code.renews = True  # type: ignore[attr-defined]
    code_cache.stack_frames_for_code = staticmethod(stack_frames_for_code)
