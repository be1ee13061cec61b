"""The order of DDP's buckets where rank 0 is left out: that of this rank's own gradients.

After the first step each rank puts its buckets anew, in the order in which its gradients came, and then takes
rank 0's order and sizes, so that all have the same. These are integers that the rank itself has just written;
of a symmetric training they are rank 0's.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from nanocheck.observe import absent_ranks


def install() -> None:
    """In every reducer of this process."""
    from torch._C import _distributed_c10d as native

    reducer: Any = getattr(native, "Reducer", None)
    keep = getattr(ctypes.CDLL(None), "nanocheck_nccl_keep_own", None)  # None: a real card
    if reducer is None or keep is None:
        return
    original = reducer._rebuild_buckets

    @functools.wraps(original)
    def rebuild(self: Any) -> Any:
        present = absent_ranks.present()
        if present is None:
            return original(self)
        keep(1)
        try:
            return original(self)
        finally:
            keep(0)

    reducer._rebuild_buckets = rebuild
