"""A journal of an observed process that no process wrote: one step, and an out-of-memory in the next."""

from __future__ import annotations

import json

_SCRIPT = "/home/somebody/train.py"
_AT = 0x7F0000000000


def made_up_journal() -> bytes:
    """Lines as ``observe`` writes them."""
    count = {"allocated": 4096, "allocated_peak": 6144, "reserved": 2097152, "reserved_peak": 2097152}
    more = {**count, "retries": 0, "ooms": 0}
    weight = [_AT, 2048, "Linear.weight", [16, 32]]
    gradient = [_AT + 4096, 2048, "Linear.weight", [16, 32]]
    rows = [
        ["S", _AT, 2097152, 0],
        ["a", _AT, 2048, 0],
        ["a", _AT + 2048, 2048, 1],
        ["a", _AT + 4096, 2048, 2],
        ["r", _AT + 2048, 2048, -1],
        ["f", _AT + 2048, 2048, -1],
    ]
    entries = [
        {
            "kind": "start",
            "schema": 1,
            "pid": 4711,
            "parent": 1,
            "command": ["python", "train.py"],
            "folder": "/home/somebody",
            "virtual": "abc",
            "torch": "2.14.1+cu130",
            "cuda": "13.0",
            "python": "3.11.7",
            "device": "NVIDIA GeForce RTX 4070",
            "allocator": "native",
            "libraries": ["/lib/torch", "/nanocheck/observe", "/lib/python3.11"],
            "settings": {"expandable_segments": False},
        },
        {
            "kind": "stack",
            "id": 0,
            "frames": [["/lib/torch/nn/module.py", 9, "cuda"], [_SCRIPT, 3, "<module>"]],
        },
        {"kind": "stack", "id": 1, "frames": [[_SCRIPT, 5, "<module>"]]},
        {"kind": "stack", "id": 2, "frames": []},
        {"kind": "graph", "lines": {"call_abc": [_SCRIPT, 5, "step"]}},
        {"kind": "mark", "what": "backward+", "where": [_SCRIPT, 5, "<module>"], "allocations": 2, **more},
        {"kind": "mark", "what": "backward-", "where": None, "allocations": 3, **more},
        {"kind": "events", "rows": rows, "missing": 0},
        {"kind": "mark", "what": "optimizer+", "where": [_SCRIPT, 6, "<module>"], "allocations": 3, **more},
        {"kind": "owners", "allocations": 3, "kinds": {"parameters": [weight], "gradients": [gradient]}},
        {"kind": "mark", "what": "optimizer-", "where": None, "allocations": 3, **more},
        {"kind": "step", "done": 1, "allocations": 3, **more},
        {
            "kind": "oom",
            "requested": 1 << 42,
            "free": 1 << 33,
            "where": [_SCRIPT, 5, "<module>"],
            "tensors": [["x", [16, 32], "torch.float32"]],
            "allocations": 3,
            **more,
        },
        {
            "kind": "failed",
            "error": "OutOfMemoryError: CUDA out of memory.",
            "oom": True,
            "where": [_SCRIPT, 5, "f"],
        },
        {
            "kind": "end",
            "how": "failed",
            "blocks": [[_AT, 2048, 2048, "active_allocated"], [_AT + 4096, 2048, 2048, "active_allocated"]],
            "settings": {"expandable_segments": False},
            "workspaces": [_AT + 4096],
            "virtual": {
                "attention": "math",
                "peak_used": 452984832,
                "placeholders": 0,
                "placeholder_sizes": 0,
            },
            "allocations": 3,
            **more,
        },
    ]
    return "".join(json.dumps(each) + "\n" for each in entries).encode()
