"""The replay of the allocator's history against the allocator itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import observe

from nanocheck.attribution.replay import Replay

#: Random tensors of random sizes, kept for random times, on two streams, with whole caches given back. Prints
#: what PyTorch counted itself.
CHURN = """
    import random, sys, torch
    seed, rounds = int(sys.argv[1]), int(sys.argv[2])
    choose = random.Random(seed)
    mib = 1 << 20
    sizes = [1, 511, 512, 513, 4096, mib, mib + 1, 3 * mib, 10 * mib - 1, 10 * mib, 33 * mib, 100 * mib]
    kept, other = [], torch.cuda.Stream()
    for _ in range(rounds):
        action = choose.random()
        if action < 0.55 or not kept:
            size = choose.choice(sizes) + choose.randrange(0, 700)
            with torch.cuda.stream(other if choose.random() < 0.2 else torch.cuda.current_stream()):
                try:
                    kept.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
                except torch.OutOfMemoryError:
                    kept.clear()
        elif action < 0.97:
            one = kept.pop(choose.randrange(len(kept)))
            if choose.random() < 0.1:
                one.record_stream(other)
            del one
        elif action < 0.985:
            torch.cuda.empty_cache()
        else:
            torch.cuda.synchronize()
    stats = torch.cuda.memory_stats()
    print("allocated_peak", stats["allocated_bytes.all.peak"])
    print("reserved_peak", stats["reserved_bytes.all.peak"])
    print("allocated", stats["allocated_bytes.all.current"])
    print("reserved", stats["reserved_bytes.all.current"])
"""


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "expandable_segments:True",
        "max_split_size_mb:32,roundup_power2_divisions:4,garbage_collection_threshold:0.6",
    ],
)
def test_the_replay_ends_with_the_blocks_the_allocator_has(setting: str, tmp_path: Path) -> None:
    seen = observe(
        CHURN,
        tmp_path,
        "1",
        "3000",
        environment={"PYTORCH_ALLOC_CONF": setting, "PYTORCH_CUDA_ALLOC_CONF": setting},
    )
    assert seen.ending.exit_code == 0, seen.stderr
    (process,) = seen.processes()
    assert process.end is not None
    replay = Replay(process.end.settings).feed(process.events)
    assert replay.surprises == 0
    active = {(at, size) for at, size, _, state in process.end.blocks if state.startswith("active")}
    assert set(replay.live_blocks()) == active
    found = {name: int(value) for name, value in seen.printed().items()}
    assert max(level[0] for level in replay.levels) == found["allocated_peak"]
    assert max(level[1] for level in replay.levels) == found["reserved_peak"]
    assert replay.levels[-1] == (found["allocated"], found["reserved"])
    assert len(replay.allocations) > 1000


def test_a_hole_in_the_history_is_noticed() -> None:
    replay = Replay().feed([("S", 0, 2 << 20, -1), ("a", 4096, 512, -1), ("f", 1 << 30, 512, -1)])
    assert replay.surprises == 2
