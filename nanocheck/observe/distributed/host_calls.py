"""gloo where ranks are left out and PyTorch's backends cannot be written in Python (2.11 and before).

PyTorch then has a group that exchanges nothing. Collectives of the host's tensors that a script calls, and
the objects that PyTorch sends by them, go to ``host_group``'s answers instead. What PyTorch's own C++ sends
over gloo (DDP of a model on the host, functional collectives) still reaches nobody.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

#: What a collective was called with, by name.
Given = dict[str, Any]

_answers: list[tuple[Any, Any]] = []  # PyTorch's group of a backend, what answers for it


def answer_for(backend: Any, host: Any) -> None:
    """From now on, for calls of a group with this backend."""
    _answers.append((backend, host))


def install(c10d: ModuleType) -> None:
    """Before anybody has the functions from the module."""
    for name, (first, run) in _CALLS.items():
        original = getattr(c10d, name, None)
        if original is not None:
            setattr(c10d, name, _asked(c10d, original, first, run))


def _monitored(host: Any, given: Given) -> None:
    host.monitored_barrier(given.get("timeout") or timedelta(), False)


def _asked(c10d: ModuleType, original: Any, first: str | None, run: Callable[[Any, Given], Any]) -> Any:
    """The function, but for a group that is answered for here; ``first``: its argument that is a tensor."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not _answers:
            return original(*args, **kwargs)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return original(*args, **kwargs)  # says what is wrong
        bound.apply_defaults()
        given = bound.arguments
        host = _host(c10d, given.get("group"), None if first is None else given[first])
        if host is None:
            return original(*args, **kwargs)
        for end in ("src", "dst"):
            if end in given:
                given["peer"] = _place(c10d, given, end)
        work = run(host, given)
        if original.__name__ == "recv":
            return given["src"]
        return work if given.get("async_op") or original.__name__ in ("isend", "irecv") else None

    return call


def _host(c10d: ModuleType, group: Any, tensor: Any) -> Any:
    """What answers; None: PyTorch does."""
    group = group or c10d._get_default_group()
    if group is c10d.GroupMember.NON_GROUP_MEMBER:
        return None
    if isinstance(tensor, (list, tuple)):
        tensor = tensor[0] if tensor else None
    if tensor is not None and tensor.device.type != "cpu":
        return None
    # Where all meet: not in a group that has NCCL, too.
    devices = group._device_types if tensor is None else [tensor.device]
    found = {_answer(group, each) for each in devices}
    return found.pop() if len(found) == 1 else None


def _answer(group: Any, device: torch.device) -> Any:
    try:
        backend = group._get_backend(device)
    except RuntimeError:
        return None  # it has none for this device
    return next((host for mine, host in _answers if mine is backend), None)


def _place(c10d: ModuleType, given: Given, end: str) -> int | None:
    """Of the other rank in the group; None: any."""
    if given.get(f"group_{end}") is not None:
        return int(given[f"group_{end}"])
    if given[end] is None:
        return None
    group = given.get("group") or c10d._get_default_group()
    return int(c10d.get_group_rank(group, given[end]))


def _root(given: Given) -> Any:
    return SimpleNamespace(rootRank=given["peer"] or 0, rootTensor=0, reduceOp=given.get("op"))


def _receive(host: Any, given: Given) -> Any:
    if given["peer"] is None:
        return host.recv_anysource([given["tensor"]], given["tag"])
    return host.recv([given["tensor"]], given["peer"], given["tag"])


def _waited(run: Callable[[Any, Given], Any]) -> Callable[[Any, Given], Any]:
    def waited(host: Any, given: Given) -> None:
        run(host, given).wait()

    return waited


def _send(host: Any, given: Given) -> Any:
    return host.send([given["tensor"]], given["peer"], given["tag"])


def _op(given: Given) -> Any:
    return SimpleNamespace(reduceOp=given["op"])


#: Name of the function -> its argument that is a tensor or a list of them, if any; how it is answered.
_CALLS: dict[str, tuple[str | None, Callable[[Any, Given], Any]]] = {
    "barrier": (None, lambda host, g: host.barrier()),
    "monitored_barrier": (None, _monitored),
    "broadcast": ("tensor", lambda host, g: host.broadcast([g["tensor"]], _root(g))),
    "scatter": (
        "tensor",
        lambda host, g: host.scatter([g["tensor"]], [g["scatter_list"] or []], _root(g)),
    ),
    "all_gather": ("tensor", lambda host, g: host.allgather([g["tensor_list"]], [g["tensor"]])),
    "all_gather_into_tensor": (
        "input_tensor",
        lambda host, g: host.all_gather_single(g["output_tensor"], g["input_tensor"]),
    ),
    "gather": ("tensor", lambda host, g: host.gather([g["gather_list"] or []], [g["tensor"]], _root(g))),
    "all_reduce": ("tensor", lambda host, g: host.allreduce([g["tensor"]], _op(g))),
    "reduce": ("tensor", lambda host, g: host.reduce([g["tensor"]], _op(g))),
    "reduce_scatter": (
        "output",
        lambda host, g: host.reduce_scatter([g["output"]], [g["input_list"]], _op(g)),
    ),
    "reduce_scatter_tensor": (
        "output",
        lambda host, g: host.reduce_scatter_single(g["output"], g["input"], _op(g)),
    ),
    "all_to_all": (
        "input_tensor_list",
        lambda host, g: host.alltoall(g["output_tensor_list"], g["input_tensor_list"]),
    ),
    "all_to_all_single": (
        "input",
        lambda host, g: host.all_to_all_single(
            g["output"], g["input"], g["output_split_sizes"] or [], g["input_split_sizes"] or []
        ),
    ),
    "isend": ("tensor", _send),
    "send": ("tensor", _waited(_send)),
    "irecv": ("tensor", _receive),
    "recv": ("tensor", _waited(_receive)),
}
