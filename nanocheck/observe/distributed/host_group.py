"""gloo where ranks are left out: those that run are a gloo group of their own.

gloo connects every rank with every other when a group is made, so its own class would wait for those that
never come. This one has gloo's interface for the whole group: what the ranks that run exchange does arrive,
of any size. The part of a rank that is left out is taken to be this rank's own; what only it sends is left as
it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch._C import _distributed_c10d as native

from nanocheck.observe import absent_ranks
from nanocheck.observe.distributed import groups, host_calls

_Parts = list[Tensor]


class _Present:
    """Which members of a group run, and gloo's own group of them."""

    def __init__(self, gloo: Any, store: Any, rank: int, members: Sequence[int], timeout: timedelta) -> None:
        present = absent_ranks.present() or frozenset(members)
        #: Place in the group -> place among those that run.
        self.places = {
            at: i for i, at in enumerate(each for each, who in enumerate(members) if who in present)
        }
        self.absent = len(members) - len(self.places)
        inner = native.PrefixStore("nanocheck-present", store)
        self.group = gloo(inner, self.places[rank], len(self.places), timeout=timeout)
        self._of_splits = gloo, members, timeout

    def split(self, store: Any, places: Sequence[int], rank: int) -> _Present:
        """Of a part of the group: by places in it; ``rank``: in the part."""
        gloo, members, timeout = self._of_splits
        return _Present(gloo, store, rank, [members[each] for each in places], timeout)

    def gather(self, tensor: Tensor) -> dict[int, Tensor]:
        """Of every member that runs, by its place in the group."""
        found = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in self.places]
        self.group.allgather([found], [tensor.contiguous()]).wait()
        return dict(zip(self.places, found))


def _done(*values: Tensor) -> Any:
    future: Any = torch.futures.Future()
    future.set_result(list(values))
    return native._create_work_from_future(future)


class _NoBackend:
    """What the class needs of its base, where PyTorch has none for it: see ``host_calls``."""

    def __init__(self, rank: int, size: int) -> None:
        self._place, self._size = rank, size

    def rank(self) -> int:
        return self._place

    def size(self) -> int:
        return self._size


def _class(base: Any) -> Any:
    """The class, of PyTorch's backends or of none."""

    class HostGroup(base):  # type: ignore[misc]
        """gloo's interface; methods have the names that PyTorch's C++ calls."""

        def __init__(self, present: _Present, rank: int, size: int) -> None:
            super().__init__(rank, size)
            self._present = present
            options = getattr(native.Backend, "Options", None)  # since torch 2.6 or so: only C++ asks
            self._options = options and options("gloo")

        @property
        def options(self) -> Any:
            return self._options

        def getBackendName(self) -> str:  # noqa: N802
            return "gloo"

        def _set_sequence_number_for_group(self) -> None:
            return

        def _get_sequence_number_for_group(self) -> int:
            return 0

        @property
        def supports_splitting(self) -> bool:
            return True

        def split(self, store: Any, ranks: list[int], opts: Any) -> Any:
            if self.rank() not in ranks:
                return None
            place = ranks.index(self.rank())
            return HostGroup(self._present.split(store, ranks, place), place, len(ranks))

        # -- one sends, all receive ------------------------------------------------------------------

        def broadcast(self, tensors: _Parts, opts: Any) -> Any:
            root = self._present.places.get(opts.rootRank)
            if root is not None:
                inner = native.BroadcastOptions()
                inner.rootRank, inner.rootTensor = root, opts.rootTensor
                self._present.group.broadcast(tensors, inner).wait()
            return _done(*tensors)

        def scatter(self, outputs: _Parts, inputs: list[_Parts], opts: Any) -> Any:
            if self.rank() == opts.rootRank:
                outputs[0].copy_(inputs[0][self.rank()])
                for place, among in self._present.places.items():
                    if place != self.rank():
                        self._present.group.send([inputs[0][place].contiguous()], among, 0).wait()
            elif opts.rootRank in self._present.places:
                self._receive(outputs[0], opts.rootRank, 0)
            return _done(*outputs)

        # -- all send, one or all receive ------------------------------------------------------------

        def allgather(self, outputs: list[_Parts], inputs: _Parts, opts: Any = None) -> Any:
            for into, tensor in zip(outputs, inputs):
                self._spread(tensor, into)
            return _done(*(each for into in outputs for each in into))

        def allgather_coalesced(self, outputs: list[_Parts], inputs: _Parts, opts: Any = None) -> Any:
            for index, tensor in enumerate(inputs):
                self._spread(tensor, [into[index] for into in outputs])
            return _done(*(each for into in outputs for each in into))

        def all_gather_single(self, output: Tensor, tensor: Tensor, opts: Any = None) -> Any:
            self._spread(tensor.reshape(-1), list(output.view(-1).chunk(self.size())))
            return _done(output)

        def all_gather_single_coalesced(self, outputs: _Parts, inputs: _Parts, opts: Any = None) -> Any:
            for output, tensor in zip(outputs, inputs):
                self.all_gather_single(output, tensor)
            return _done(*outputs)

        def gather(self, outputs: list[_Parts], inputs: _Parts, opts: Any) -> Any:
            self._spread(inputs[0], outputs[0] if self.rank() == opts.rootRank else [])
            return _done(*(outputs[0] if outputs else ()))

        def _spread(self, tensor: Tensor, into: _Parts) -> None:
            found = self._present.gather(tensor)
            with torch.no_grad():
                for place, output in enumerate(into):
                    output.copy_(found.get(place, tensor).view(output.shape))

        # -- sums and their like ---------------------------------------------------------------------

        def allreduce(self, tensors: _Parts, opts: Any = None) -> Any:
            op = native.ReduceOp.SUM if opts is None else opts.reduceOp
            for tensor in tensors:
                self._reduce(tensor, op)
            return _done(*tensors)

        allreduce_coalesced = allreduce

        def reduce(self, tensors: _Parts, opts: Any) -> Any:
            """gloo leaves what the others have after it open; here it is the result."""
            return self.allreduce(tensors, opts)

        def reduce_scatter(self, outputs: _Parts, inputs: list[_Parts], opts: Any) -> Any:
            for output, parts in zip(outputs, inputs):
                whole = torch.cat([each.reshape(-1) for each in parts])
                self._reduce(whole, opts.reduceOp)
                sizes = [each.numel() for each in parts]
                output.copy_(torch.split(whole, sizes)[self.rank()].view(output.shape))
            return _done(*outputs)

        def reduce_scatter_single(self, output: Tensor, tensor: Tensor, opts: Any) -> Any:
            whole = tensor.reshape(-1).clone()
            self._reduce(whole, opts.reduceOp)
            output.copy_(whole.chunk(self.size())[self.rank()].view(output.shape))
            return _done(output)

        def reduce_scatter_single_coalesced(self, outputs: _Parts, inputs: _Parts, opts: Any) -> Any:
            for output, tensor in zip(outputs, inputs):
                self.reduce_scatter_single(output, tensor, opts)
            return _done(*outputs)

        def _reduce(self, tensor: Tensor, op: Any) -> None:
            own, inner = tensor.clone(), native.AllreduceOptions()
            inner.reduceOp = op
            with torch.no_grad():
                self._present.group.allreduce([tensor], inner).wait()
                if op == native.ReduceOp.SUM:
                    tensor += own * self._present.absent
                elif op == native.ReduceOp.PRODUCT:
                    tensor *= own**self._present.absent

        # -- between two -----------------------------------------------------------------------------

        def alltoall(self, outputs: _Parts, inputs: _Parts, opts: Any = None) -> Any:
            here, group = self._present.places, self._present.group
            outputs[self.rank()].copy_(inputs[self.rank()])
            sent = [
                group.send([inputs[place].contiguous()], among, 1)
                for place, among in here.items()
                if place != self.rank()
            ]
            for place, output in enumerate(outputs):
                if place in here and place != self.rank():
                    self._receive(output, place, 1)
                elif place not in here and output.shape == inputs[self.rank()].shape:
                    output.copy_(inputs[self.rank()])
            for each in sent:
                each.wait()
            return _done(*outputs)

        def all_to_all_single(
            self, output: Tensor, tensor: Tensor, to: list[int], parts: list[int], opts: Any = None
        ) -> Any:
            # `to`: how much comes of each; PyTorch names them in this order.
            incoming, outgoing = (
                list(torch.split(whole, sizes) if sizes else whole.chunk(self.size()))
                for whole, sizes in ((output, to), (tensor, parts))
            )
            self.alltoall(incoming, outgoing)
            return _done(output)

        def send(self, tensors: _Parts, to: int, tag: int) -> Any:
            among = self._present.places.get(to)
            return _done() if among is None else self._present.group.send(tensors, among, tag)

        def recv(self, tensors: _Parts, sender: int, tag: int) -> Any:
            among = self._present.places.get(sender)
            return _done(*tensors) if among is None else self._present.group.recv(tensors, among, tag)

        def recv_anysource(self, tensors: _Parts, tag: int) -> Any:
            if len(self._present.places) == 1:
                return _done(*tensors)
            return self._present.group.recv_anysource(tensors, tag)

        def _receive(self, into: Tensor, sender: int, tag: int) -> None:
            found = torch.empty_like(into, memory_format=torch.contiguous_format)
            self._present.group.recv([found], self._present.places[sender], tag).wait()
            into.copy_(found)

        # -- all meet --------------------------------------------------------------------------------

        def barrier(self, opts: Any = None) -> Any:
            self._present.group.barrier().wait()
            return _done()

        def monitored_barrier(self, *_: Any) -> None:
            self._present.group.barrier().wait()

    return HostGroup


def install(c10d: ModuleType) -> None:
    """Wherever PyTorch makes a gloo group from now on."""
    original: Any = getattr(c10d, "ProcessGroupGloo", None)
    if original is None:
        return
    made: Any = _kind()
    answers: Any = _class(_NoBackend)
    if made is None:
        host_calls.install(c10d)

    class _Named(type(original)):  # type: ignore[misc]
        """What stands in for gloo passes for it."""

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, (original, native.Backend if made is None else made))

    class ProcessGroupGloo(original, metaclass=_Named):  # type: ignore[misc]
        """gloo's own where all members run."""

        def __new__(cls, store: Any, rank: int, size: int, *rest: Any, **named: Any) -> Any:
            present, members = absent_ranks.present(), groups.members_now(size)
            if present is None or present.issuperset(members):
                return original(store, rank, size, *rest, **named)
            limit: Any = named.get("timeout", rest[0] if rest else None)
            if made is None:
                fake: Any = native.FakeProcessGroup
                fake._set_sequence_number_for_group = lambda self: None  # it numbers nothing
                group = getattr(fake, "_create_internal", fake)(rank, size)
                present_here = _Present(original, store, rank, members, limit)
                host_calls.answer_for(group, answers(present_here, rank, size))
                return group
            return made(_Present(original, store, rank, members, limit), rank, size)

    c10d.ProcessGroupGloo = ProcessGroupGloo  # type: ignore[attr-defined]


def _kind() -> Any:
    """None: this PyTorch's backends cannot be written in Python (2.11 and before)."""
    kind = _class(native.Backend)
    try:
        kind(None, 0, 1)
    except TypeError:
        return None
    return kind
