"""Which memory is the loss's, found at each backward: what was made on the way to it, and while it runs back.

Nothing is kept alive: nodes are looked at before the backward, and hooks before nodes (``register_prehook``)
are given what the engine hands on anyway.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import torch

from nanocheck.observe import loss_graph
from nanocheck.observe.allocator_history import place
from nanocheck.observe.event_log import Journal
from nanocheck.observe.frame_variables import variables
from nanocheck.observe.library_frames import is_library
from nanocheck.observe.owners import storages
from nanocheck.observe.phase_hooks import LIBRARIES

_LOSS_FUNCTION = re.compile(r"cross_entropy|log_softmax|nll_loss|kl_div|loss", re.IGNORECASE)


class LossFlow:
    """Of one process.

    Args:
        active: whether the process is observed.
        guard: calls a function with what follows it, and tells its error.
    """

    def __init__(self, journal: Journal, active: Callable[[], bool], guard: Callable[..., Any]) -> None:
        self._journal, self._active, self._guard = journal, active, guard
        self._inside = False  # the engine is in the loss's part of a backward

    def install(self) -> None:
        """Before ``phase_hooks``, so that a backward's mark comes first."""
        original = torch.autograd._engine_run_backward  # type: ignore[attr-defined]

        @functools.wraps(original)
        def run(roots: Any, *args: Any, **kwargs: Any) -> Any:
            handles: list[Any] = []
            nodes = _nodes(roots) if self._active() else []
            if nodes:
                self._guard(self._before, nodes, handles)
            del nodes
            try:
                return original(roots, *args, **kwargs)
            finally:
                for each in handles:
                    each.remove()
                if handles:
                    self._cross(False)

        torch.autograd._engine_run_backward = run  # type: ignore[attr-defined, assignment]

    def _before(self, nodes: list[Any], handles: list[Any]) -> None:
        found = loss_graph.of_roots(nodes)
        if not found.inside:
            return
        self._journal.write("loss", **place(), ways=found.ways, code=found.code)
        if _compiled_autograd():
            return  # it would take the hooks into what it compiles
        for node in found.outside:
            handles.append(node.register_prehook(lambda *_: self._cross(False)))
        for node in found.inside:
            handles.append(node.register_prehook(lambda *_: self._cross(True)))

    def _cross(self, inside: bool) -> None:
        if self._inside != inside and self._active():
            self._inside = inside
            self._guard(self._tell_side)

    def _tell_side(self) -> None:
        self._journal.write("loss-backward", inside=self._inside, **place())

    def at_failure(self, frame: FrameType | None) -> None:
        """Memory ran out: where it was inside a loss function, what that was given, and what led to it.

        Only frames of installed code are looked into: what a function of the script's is called says little.
        """
        while frame is not None and _installed(frame.f_code.co_filename):
            if _LOSS_FUNCTION.search(frame.f_code.co_name):
                given = [each for _, each in variables(frame) if _floating(each)]
                if given:
                    self._tell_given(max(given, key=torch.Tensor.numel))
                    return
            frame = frame.f_back

    def _tell_given(self, logits: torch.Tensor) -> None:
        ways = [] if logits.grad_fn is None else loss_graph.of_logits(logits.grad_fn)
        addresses = [address for address, *_ in storages(logits)] if ways or logits.grad_fn is None else []
        self._journal.write("loss", **place(), ways=ways, addresses=addresses)


def _nodes(roots: Iterable[Any]) -> list[Any]:
    """Of tensors and of edges (``torch.autograd.graph.GradientEdge``); no tensors without memory."""
    found = []
    for root in roots:
        if type(root) is torch.Tensor:
            found.append(root.grad_fn if root.is_cuda else None)
        elif not isinstance(root, torch.Tensor):
            found.append(getattr(root, "node", None))
    return [each for each in found if each is not None]


def _installed(file: str) -> bool:
    return is_library(file, LIBRARIES) or "-packages/" in file


def _floating(value: Any) -> bool:
    return type(value) is torch.Tensor and value.is_cuda and value.is_floating_point() and value.dim() > 1


def _compiled_autograd() -> bool:
    module = sys.modules.get("torch._dynamo.compiled_autograd")
    return bool(getattr(module, "compiled_autograd_enabled", False))
