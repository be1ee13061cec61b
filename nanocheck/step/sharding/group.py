"""One rank of several, alone in its process: on the virtual GPU a collective completes without the others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
import torch.distributed as dist

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import MachineError
from nanocheck.core.sharding import MOST_RANKS
from nanocheck.step.torch_facts import computes_nothing


@contextmanager
def rank_of_several(config: StepConfig, device: str) -> Iterator[None]:
    """A process group of ``config.ranks``: the launcher's, where one started this process (``torchrun``).

    Else this process is alone, as rank 0, whose part of the training is that of the rank that needs most:
    only rank 0 knows all that it reads, for it is the one that tells the others. They are taken to do what it
    does: see ``virtual/csrc/answers/nccl_collectives.c``.

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
    with ExitStack() as stack:
        alone = os.environ.get("WORLD_SIZE") != str(config.ranks)
        if alone:
            stack.enter_context(_told({**_ALONE, "WORLD_SIZE": str(config.ranks)}))
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        store = dist.HashStore() if alone else None  # type: ignore[attr-defined]
        dist.init_process_group("nccl", store=store, rank=int(os.environ["RANK"]), world_size=config.ranks)
        try:
            yield
        finally:
            torch.cuda.synchronize()  # or the group waits ten seconds for its last collective
            dist.destroy_process_group()


#: What a launcher says, and that it started nobody else: the virtual GPU's NCCL reads it. Beyond 128 ranks
#: PyTorch would wait for a second one that makes a part of the communicator's id.
_ALONE = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "NANOCHECK_RUN_RANKS": "0",
    "NANOCHECK_STEP_ALONE": "1",
    "TORCH_NCCL_RANKS_PER_ROOT": str(MOST_RANKS),
}


def is_alone() -> bool:
    """Whether, inside ``rank_of_several``, nobody started the others."""
    return "NANOCHECK_STEP_ALONE" in os.environ


@contextmanager
def _told(variables: Mapping[str, str]) -> Iterator[None]:
    """The environment with these, then as before."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
