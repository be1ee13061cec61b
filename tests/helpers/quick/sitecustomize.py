"""What every Python that a test starts does first; ``tests/conftest.py`` puts this folder on PYTHONPATH.

``import torch`` and the first optimizer take 3 s of a core, in each of a thousand processes; half of that is
for nothing here:

- The first optimizer imports ``torch._dynamo``, only to mark its functions as none of the compiler's
  business. Here that import waits until somebody asks for more of the compiler than such marks.
- The garbage collector looks through what ``import torch`` makes, again and again, and finds next to nothing.

``observe/test_quick_start.py`` shows that a script's run is the same to the byte.
"""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

_COMPILER = "torch._dynamo"


class _Waiting(types.ModuleType):
    """Stands for ``torch._dynamo`` as long as only what does nothing without a compiler is used of it."""

    def disable(
        self, fn: Callable[..., Any] | None = None, recursive: bool = True, **options: Any
    ) -> Callable[..., Any]:
        """The function itself, and the marked one from when on there is a compiler."""
        if fn is None:
            return functools.partial(self.disable, recursive=recursive, **options)
        function, marked = fn, functools.cache(lambda: _compiler().disable(fn, recursive, **options))

        @functools.wraps(function)
        def either(*arguments: Any, **named: Any) -> Any:
            return (function if _FINDER in sys.meta_path else marked())(*arguments, **named)

        # Not a line of the script's, as those of the real one are not.
        either.__code__ = either.__code__.replace(co_filename="<quick start>")
        return either

    def graph_break(self, msg: str = "") -> None:
        """There is no graph."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import itself looks for these
            raise AttributeError(name)
        return getattr(_compiler(), name)


def _compiler() -> types.ModuleType:
    """The real one, in everybody's place from now on."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
        sys.modules.pop(_COMPILER, None)
        vars(sys.modules["torch"]).pop("_dynamo", None)
    return importlib.import_module(_COMPILER)


class _Made(importlib.abc.Loader):
    """Gives a module that is made already."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module, self._spec = module, getattr(module, "__spec__", None)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        if self._spec is not None:
            module.__spec__ = self._spec


class _Uncollected(importlib.abc.Loader):
    """A module's own loader, with the garbage collector at rest."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        collects = gc.isenabled()
        gc.disable()
        try:
            self._loader.exec_module(module)
        finally:
            if collects:
                gc.enable()

    def __getattr__(self, name: str) -> Any:  # get_source, is_package, ...
        return getattr(self._loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "torch":
            spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Uncollected(spec.loader)
            return spec
        if fullname == _COMPILER:
            module = _Waiting(fullname)
            return importlib.machinery.ModuleSpec(fullname, _Made(module), is_package=True)
        if fullname.startswith(_COMPILER + "."):
            _compiler()
            return importlib.machinery.ModuleSpec(fullname, _Made(importlib.import_module(fullname)))
        return None


_FINDER = _Finder()
# Not in a fork, which has the real ones.
if os.environ.get("NANOCHECK_TESTS_QUICK") and "torch" not in sys.modules:
    sys.meta_path.insert(0, _FINDER)
