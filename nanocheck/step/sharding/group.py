"""One rank of several, alone in its process: on the virtual GPU a collective completes without the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import MachineError
from nanocheck.core.sharding import rank_that_runs
from nanocheck.step.torch_facts import computes_nothing

#: NCCL's ``ncclUniqueId``.
_UNIQUE_ID_BYTES = 128


class OwnStore(dist.Store):  # type: ignore[name-defined,misc]
    """The ranks' common memory, where nobody else is: what the others would have put there is zeros.

    PyTorch reads one thing of another rank in it, the id of a communicator, which rank 0 makes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, bytes] = {}

    def set(self, key: str, value: str | bytes) -> None:
        self._values[key] = value.encode() if isinstance(value, str) else bytes(value)

    def get(self, key: str) -> bytes:
        return self._values.get(key, bytes(_UNIQUE_ID_BYTES))

    def add(self, key: str, amount: int) -> int:
        total = int(self._values.get(key, b"0")) + amount
        self._values[key] = str(total).encode()
        return total

    def check(self, keys: list[str]) -> bool:
        return all(key in self._values for key in keys)

    def wait(self, keys: list[str], timeout: object = None) -> None:
        """Nobody will come."""

    def delete_key(self, key: str) -> bool:
        return self._values.pop(key, None) is not None


@contextmanager
def rank_of_several(config: StepConfig, device: str) -> Iterator[None]:
    """A process group of ``config.ranks``: the launcher's, where one started this process (``torchrun``).

    Else this process is alone, as the rank that needs most. The others are taken to do what it does: what
    they would send is this one's own, see ``virtual/csrc/answers/nccl_collectives.c``.

    Raises:
        MachineError: the device is not virtual: there the others would be waited for.
    """
    if not computes_nothing(device):
        here = "one real GPU" if torch.device(device).type == "cuda" else "the CPU"
        raise MachineError(
            f"{config.id}: expected the virtual GPU, where one rank of {config.ranks} runs without the "
            f"others; found one process on {here}",
            hint="run it on the virtual GPU: --device virtual",
        )
    started = {} if os.environ.get("WORLD_SIZE") == str(config.ranks) else _alone(config)
    os.environ.update(started)
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # Bound to a name: what PyTorch keeps of a store finds no Python methods once it is gone.
    store = OwnStore() if started else None
    dist.init_process_group("nccl", store=store, rank=int(os.environ["RANK"]), world_size=config.ranks)
    try:
        yield
    finally:
        torch.cuda.synchronize()  # or the group waits ten seconds for its last collective
        dist.destroy_process_group()
        for name in started:
            del os.environ[name]


def _alone(config: StepConfig) -> dict[str, str]:
    """What a launcher says, and that it started nobody else: the virtual GPU's NCCL reads it."""
    rank = str(rank_that_runs(config))
    return {
        "RANK": rank,
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(config.ranks),
        "NANOCHECK_RUN_RANKS": rank,
    }
