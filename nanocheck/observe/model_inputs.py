"""With which shapes the script calls its model: shapes only, and only of outermost calls.

Hooks of modules would be seen by torch.compile, which would compile something else. So ``Module.__call__`` is
replaced by a function that does the same. It must be in place before Dynamo is imported, which recognises a
plain call of a module by what ``__call__`` was then.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import torch

from nanocheck.observe.exit_hooks import OURS
from nanocheck.observe.phase_hooks import is_tracing

Shape = tuple[int, ...]
#: Shapes of the tensors of one call.
Call = tuple[Shape, ...]
_DEPTH = 3  # of containers among the arguments
_CALLS = 10_000  # different ones that are remembered


class _Calls:
    """Calls of a model with gradients."""

    def __init__(self) -> None:
        self.all: dict[Call, None] = {}  # in the order in which they first came
        self.steps: set[frozenset[Call]] = set()  # those of each optimizer step
        self.since: set[Call] = set()  # those since the last one

    def add(self, call: Call) -> None:
        if len(self.all) < _CALLS:
            self.all.setdefault(call)
            self.since.add(call)

    def step_ended(self) -> None:
        if self.since:
            self.steps.add(frozenset(self.since))
            self.since.clear()

    @property
    def vary(self) -> bool:
        """Whether two steps had inputs of different shapes; several calls in each step are no difference."""
        if not self.steps:
            return len(self.all) > 1
        return len(self.steps) > 1 or not self.since <= next(iter(self.steps))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The smallest and the largest input; () without calls."""
        inputs = [max(call, key=math.prod) for call in self.all]
        return (min(inputs, key=math.prod), max(inputs, key=math.prod)) if inputs else ()


class _Model:
    """A model with what wraps it or was compiled of it: their parameters are the same."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.parameters = [weakref.ref(each) for each in module.parameters()]
        self.trained = False
        self.evaluated = False
        self.calls = _Calls()
        self.calls_after_oom: _Calls | None = None

    def trained_with(self, call: Call) -> None:
        """It was called with gradients."""
        self.trained = True
        for calls in (self.calls, self.calls_after_oom):
            if call and calls is not None:
                calls.add(call)

    @property
    def frozen(self) -> int:
        """Numbers in parameters that ask for no gradient."""
        alive = (reference() for reference in self.parameters)
        return sum(each.numel() for each in alive if each is not None and not each.requires_grad)


class ModelInputs:
    """Of the main thread of this process."""

    def __init__(self) -> None:
        self._oom = False
        self._models: dict[tuple[int, int], tuple[weakref.ref[torch.Tensor], _Model]] = {}
        self._found: weakref.WeakKeyDictionary[torch.nn.Module, tuple[int, int]] = weakref.WeakKeyDictionary()
        self._inside = False
        self._main = threading.main_thread().ident

    def install(self) -> None:
        """Watch every call of a module from now on."""
        original = torch.nn.Module.__call__
        watch = self

        def _wrapped_call_impl(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            outermost = not (
                torch.compiler.is_compiling() or watch._inside or threading.get_ident() != watch._main
            )
            if outermost:
                watch._inside = True
                with contextlib.suppress(Exception):  # the script must not notice
                    watch.called(self, (args, kwargs))
            try:
                # One line for all: what a checkpoint computes again is known by its stack.
                return original(self, *args, **kwargs)
            finally:
                if outermost:
                    watch._inside = False

        # To Dynamo, which goes by files, it is what the function that it stands for was: nothing to compile.
        code = _wrapped_call_impl.__code__
        _wrapped_call_impl.__code__ = code.replace(co_filename=str(torch.nn.modules.module.__file__))
        OURS.add(_wrapped_call_impl.__code__)
        torch.nn.Module.__call__ = functools.wraps(original)(_wrapped_call_impl)  # type: ignore[method-assign]

    def called(self, module: torch.nn.Module, arguments: Any) -> None:
        """A module is called by the script, not by another module."""
        model = None if is_tracing() else self._model(module)
        if model is None:
            return
        if not torch.is_grad_enabled():
            model.evaluated = True
            return
        model.trained_with(tuple(_shapes(arguments)))

    def _model(self, module: torch.nn.Module) -> _Model | None:
        """Of a module; none of a loss function, which has no parameters."""
        first = next(module.parameters(), None)
        if first is None:
            return None
        numbers = self._found.get(module, (0, 0))[1]
        if not numbers:
            numbers = sum(each.numel() for each in module.parameters())
        key = self._found[module] = (id(first), numbers)
        reference, model = self._models.get(key, (None, None))
        if reference is None or model is None or reference() is not first:  # an address may be used again
            model = _Model(module)
            model.calls_after_oom = _Calls() if self._oom else None
            self._models[key] = (weakref.ref(first), model)
        return model

    def step_ended(self, *, first: bool) -> None:
        """An optimizer stepped; ``first``: evaluations count from now on."""
        for _, model in self._models.values():
            model.calls.step_ended()
            if model.calls_after_oom is not None:
                model.calls_after_oom.step_ended()
            model.evaluated &= not first

    def out_of_memory(self) -> None:
        """From now on calls are those after the last out-of-memory."""
        self._oom = True
        for _, model in self._models.values():
            model.calls_after_oom = _Calls()

    @property
    def _trained(self) -> _Model | None:
        """The one with most parameters."""
        trained = ((numbers, model) for (_, numbers), (_, model) in self._models.items() if model.trained)
        return max(trained, key=lambda each: each[0], default=(0, None))[1]

    @property
    def _after_oom(self) -> _Calls:
        """Of the largest module that was trained after the last out-of-memory, maybe a new one."""
        found = (
            (numbers, model.calls_after_oom)
            for (_, numbers), (_, model) in self._models.items()
            if model.calls_after_oom is not None and model.calls_after_oom.all
        )
        return max(found, key=lambda each: each[0], default=(0, _Calls()))[1]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The smallest and the largest input that the largest trained module had; () where none was seen."""
        return () if self._trained is None else self._trained.calls.shapes

    @property
    def vary(self) -> bool:
        """Whether its inputs' shapes differed between steps."""
        return self._trained is not None and self._trained.calls.vary

    @property
    def shapes_after_oom(self) -> tuple[Shape, ...]:
        """The same since memory last ran out; () where it never did."""
        return self._after_oom.shapes

    @property
    def vary_after_oom(self) -> bool:
        """The same since memory last ran out."""
        return self._after_oom.vary

    @property
    def evaluated(self) -> bool:
        """Whether it ran without gradients."""
        return self._trained is not None and self._trained.evaluated

    @property
    def frozen(self) -> int:
        """Numbers in its parameters that ask for no gradient."""
        return 0 if self._trained is None else self._trained.frozen


def _shapes(value: Any, depth: int = _DEPTH) -> Iterator[Shape]:
    """Of every tensor among arguments."""
    if isinstance(value, torch.Tensor):
        yield tuple(int(each) for each in value.shape)
    elif depth and isinstance(value, dict):
        for each in value.values():
            yield from _shapes(each, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for each in value:
            yield from _shapes(each, depth - 1)
