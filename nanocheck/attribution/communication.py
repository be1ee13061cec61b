"""Memory of distributed training, by the stack that asked for it.

*Gradient buckets* hold gradients of several parameters side by side, as they are reduced; *unsharded
parameters* are the whole of what each rank keeps a part of, for as long as a layer needs it; everything else
that PyTorch's collectives ask for is *communication buffers*. What an operator of a ``DTensor`` computes is
none of these: its frames are skipped, and the module or the optimizer around it decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.attribution.journal_entries import Frame

BUFFERS = "communication buffers"
UNSHARDED = "unsharded parameters"
BUCKETS = "gradient buckets"
GROUPS = (UNSHARDED, BUCKETS, BUFFERS)

#: DistributedDataParallel. Its buckets are made in C++, straight below these functions: when it is built, and
#: once more when it knows the order in which gradients come.
_DDP_FILE = "nn/parallel/distributed.py"
_DDP_CALLS = ("_ddp_init_helper", "_pre_forward", "main_hook")
#: End of a file's name, and functions there or called from there; names of torch 2.4 to 2.15.
_KNOWN = (
    (
        UNSHARDED,
        "_fsdp_param.py",
        ("init_all_gather_outputs", "alloc_all_gather_outputs", "init_unsharded_param"),
    ),
    (BUCKETS, "_fsdp_collectives.py", ("foreach_reduce", "foreach_reduce_scatter")),
    (
        UNSHARDED,
        "fsdp/_flat_param.py",
        ("_alloc_padded_unsharded_flat_param", "init_flat_param_attributes", "flatten_tensors"),
    ),
    (BUCKETS, "fsdp/_runtime_utils.py", ("_get_reduce_scatter_tensors", "_reduce_grad")),
    (BUCKETS, "distributed/param_and_grad_buffer.py", ("__init__",)),  # Megatron-core's own
)
_TORCH = "torch/distributed/"
#: Parts of it that carry nothing from rank to rank.
_COMPUTING = tuple(_TORCH + each for each in ("tensor/", "_tensor/", "checkpoint/", "algorithms/_check"))
_CARRYING = ("_redistribute.py", "redistribute.py", "_collective_utils.py")


def group_of(frames: Sequence[Frame]) -> str:
    """One of ``GROUPS``, of frames that the innermost one of ``is_communication`` begins; innermost first."""
    file, _, name = frames[0]
    if file.endswith(_DDP_FILE) and name in _DDP_CALLS:
        return BUCKETS
    for file, _, name in frames:
        if not is_communication(file):
            break
        for group, known, calls in _KNOWN:
            if file.endswith(known) and name in calls:
                return group
    return BUFFERS


def is_communication(file: str) -> bool:
    """Whether code of this file exchanges something with other ranks."""
    if file.endswith((_DDP_FILE, "distributed/param_and_grad_buffer.py")):
        return True
    _, found, rest = file.rpartition(_TORCH)
    return bool(found) and (file.endswith(_CARRYING) or not (_TORCH + rest).startswith(_COMPUTING))
