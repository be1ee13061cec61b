"""What a script says of itself when it ends, by PyTorch's and CUDA's own figures.

A file name is the script's last argument; without one nothing is written.
"""

import atexit
import json
import sys
from pathlib import Path

import torch


def at_exit() -> None:
    """Also after an error that nobody caught."""
    atexit.register(_write)


def _write() -> None:
    if len(sys.argv) < 2:
        return
    free, total = torch.cuda.mem_get_info()
    figures = {
        "allocated_bytes": torch.cuda.max_memory_allocated(),
        "reserved_bytes": torch.cuda.max_memory_reserved(),
        "reserved_now_bytes": torch.cuda.memory_reserved(),
        "used_bytes": total - free,
        "usable_bytes": total,
    }
    Path(sys.argv[-1]).write_text(json.dumps(figures))
