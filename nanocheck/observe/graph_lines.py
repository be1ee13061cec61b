"""Which source line a name in Inductor's generated code stands for.

Generated code names the nodes of the graph that Dynamo traced (``Topologically Sorted Source Nodes: [logits,
loss]``); the graph, as it is handed to Inductor, knows the line of each. Dynamo traces also when everything
after it comes from a cache.
"""

from __future__ import annotations

import contextlib
import functools
import re
from typing import Any

import torch

from nanocheck.observe import cached_lines
from nanocheck.observe.event_log import Journal

_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')


def install(journal: Journal) -> None:
    """Write the lines of every graph that torch.compile hands to Inductor."""
    wrapper = getattr(torch, "_TorchCompileInductorWrapper", None)
    if wrapper is None:  # another backend or another torch: compiled code keeps its own lines
        return
    original = wrapper.__call__

    @functools.wraps(original)
    def call(self: Any, graph: Any, inputs: Any) -> Any:
        with contextlib.suppress(Exception):
            journal.write("graph", lines=lines(graph))
            cached_lines.remember(graph)
        return original(self, graph, inputs)

    wrapper.__call__ = call


def lines(graph: Any) -> dict[str, tuple[str, int, str]]:
    """The innermost source line of each node that has one."""
    found = {}
    for node in graph.graph.nodes:
        places = _LINE.findall(node.meta.get("stack_trace") or "")
        if places:
            file, line, function = places[-1]
            found[node.name] = (file, int(line), function)
    return found
