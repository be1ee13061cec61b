"""Whose memory an address is: parameters, gradients, optimizer state, buffers. Asked of the live objects."""

from __future__ import annotations

import contextlib
import gc
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import torch

_DEPTH = 6  # of containers in an optimizer's state


class Owners:
    """Knows the optimizers as they step, and finds models by looking through the process's objects."""

    def __init__(self) -> None:
        self._optimizers: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()
        self._modules: list[weakref.ref[torch.nn.Module]] = []

    def add(self, optimizer: torch.optim.Optimizer) -> None:
        """One more optimizer that was made or stepped."""
        self._optimizers.add(optimizer)

    def look(self) -> None:
        """Find the models; walks every object of the process once (some tenths of a second)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some libraries warn when an attribute is merely looked at
            self._modules = [
                weakref.ref(each) for each in gc.get_objects() if issubclass(type(each), torch.nn.Module)
            ]

    def parameters(self) -> int:
        """Elements that the optimizers change, each once; 0 where models on the GPU have others beside them,
        frozen ones or a second model's: a formula for training by parameters does not know these."""
        groups = [group for optimizer in list(self._optimizers) for group in optimizer.param_groups]
        trained = {id(one): one for group in groups for one in group["params"]}
        models = [each for each in (reference() for reference in self._modules) if each is not None]
        held = [one for each in models for one in each.__dict__.get("_parameters", {}).values()]
        if any(isinstance(one, torch.Tensor) and one.is_cuda and id(one) not in trained for one in held):
            return 0
        return sum(each.numel() for each in trained.values())

    def addresses(self) -> dict[str, list[list[Any]]]:
        """``[address, bytes, name, shape]`` of every tensor on a GPU, by the first kind that claims it."""
        found: dict[str, list[list[Any]]] = {}
        seen: set[int] = set()
        for kind, name, tensor in self._tensors():
            for address, size, shape in storages(tensor):
                if address not in seen:
                    seen.add(address)
                    found.setdefault(kind, []).append([address, size, name, shape])
        return found

    def _tensors(self) -> Iterator[tuple[str, str, torch.Tensor]]:
        names: dict[int, tuple[str, torch.Tensor]] = {}
        buffers = []
        for reference in self._modules:
            module = reference()
            if module is None:
                continue
            for name, parameter in module.__dict__.get("_parameters", {}).items():
                if isinstance(parameter, torch.Tensor):
                    names.setdefault(id(parameter), (f"{type(module).__name__}.{name}", parameter))
            for name, buffer in module.__dict__.get("_buffers", {}).items():
                if isinstance(buffer, torch.Tensor):
                    buffers.append((f"{type(module).__name__}.{name}", buffer))
        for optimizer in list(self._optimizers):
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    names.setdefault(id(parameter), ("parameter", parameter))
        for name, parameter in names.values():
            yield "parameters", name, parameter
        for name, buffer in buffers:
            yield "buffers", name, buffer
        for name, parameter in names.values():
            gradient = parameter.grad if parameter.is_leaf else None
            if gradient is not None:
                yield "gradients", name, gradient
        for optimizer in list(self._optimizers):
            for parameter, state in list(optimizer.state.items()):
                name = names.get(id(parameter), ("", None))[0]
                for key, tensor in _walk(state, ""):
                    yield "optimizer state", f"{name} {key}".strip(), tensor


def _walk(value: Any, key: str, depth: int = _DEPTH) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield key, value
    elif depth and isinstance(value, dict):
        for name, each in list(value.items()):
            yield from _walk(each, str(name), depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for each in value:
            yield from _walk(each, key, depth - 1)
    elif depth and hasattr(value, "__dict__") and type(value).__module__.split(".")[0] != "torch":
        # such as the quantisation state that bitsandbytes hangs on a parameter
        for name, each in list(vars(value).items()):
            yield from _walk(each, name, depth - 1)


def storages(tensor: torch.Tensor, depth: int = 4) -> Iterator[tuple[int, int, list[int]]]:
    """(address, bytes, shape) of the GPU memory behind a tensor, a wrapper subclass's parts one by one."""
    extras = [getattr(tensor, name, None) for name in ("quant_state", "_local_tensor")]
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if depth and flatten is not None:
        with contextlib.suppress(Exception):
            extras += [getattr(tensor, name) for name in flatten()[0]]
    if depth:
        for _, each in (pair for extra in extras for pair in _walk(extra, "")):
            if each is not tensor:
                yield from storages(each, depth - 1)
    with contextlib.suppress(RuntimeError, NotImplementedError):  # fake, meta and wrapper tensors have none
        if tensor.is_cuda:
            storage = tensor.untyped_storage()
            if storage.data_ptr():
                yield storage.data_ptr(), storage.nbytes(), list(tensor.shape)
