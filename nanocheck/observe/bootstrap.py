"""Waits for the script to import torch, then starts to watch. Imports next to nothing itself.

A process that never imports torch, or imports it and never touches a GPU, is left alone and leaves no trace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

FOLDER = "NANOCHECK_RUN"


class _Notified(Loader):
    """A module's own loader, and a call when the module is there."""

    def __init__(self, loader: Loader, then: Callable[[], None]) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module must look as if nobody had been between.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._then()

    def __getattr__(self, name: str) -> Any:  # get_source, is_package, ...
        return getattr(self._loader, name)


class _Finder(MetaPathFinder):
    """First on ``sys.meta_path``; knows only the names it waits for, each once."""

    def __init__(self, waiting: dict[str, Callable[[], None]]) -> None:
        self._waiting = waiting

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        then = self._waiting.pop(name, None)
        if then is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Notified(spec.loader, then)
                return spec
        self._waiting[name] = then
        return None


def activate() -> None:
    """Watch this process from its ``import torch`` on."""
    from nanocheck.observe import abandonment, absent_ranks, introspect, nodes, relaunch

    abandonment.end_when_abandoned(os.environ[FOLDER])
    nodes.take_place()
    absent_ranks.stay_away(os.environ[FOLDER])
    waiting = {"torch": relaunch.say_why_not if os.environ.get(relaunch.REASON) else _watch}
    if introspect.version() is not None:
        from nanocheck.observe import shared_graphs, uncompiled_kernels

        # Inductor reads its cache folder when it is imported; its kernels are skipped once it is there.
        uncompiled_kernels.use_own_cache()
        waiting[uncompiled_kernels.MODULE] = uncompiled_kernels.install
        waiting[shared_graphs.MODULE] = shared_graphs.install
    if os.environ.get(relaunch.TOOL):  # real cards have real nodes, and every rank
        from nanocheck.observe.distributed import checkpoint_plans, installing

        waiting[nodes.MODULE] = nodes.install
        waiting[installing.MODULE] = installing.install
        waiting[checkpoint_plans.MODULE] = checkpoint_plans.install
    sys.meta_path.insert(0, _Finder(waiting))


def _watch() -> None:
    from nanocheck.observe.process_observer import Watch

    Watch(os.environ[FOLDER]).start()
