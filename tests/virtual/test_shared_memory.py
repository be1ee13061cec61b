"""Triton asks the card how much shared memory a block may have, and stops a kernel that needs more."""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import observe

#: Tiles of 256 x 64 in bf16, twice: 64 KiB a stage, of which the last is not kept.
PRODUCT = """
    import sys
    import torch
    import triton
    import triton.language as tl

    @triton.jit
    def product(a, b, c, N, K, M: tl.constexpr, BK: tl.constexpr):
        row, col = tl.program_id(0) * M + tl.arange(0, M), tl.program_id(1) * M + tl.arange(0, M)
        total = tl.zeros((M, M), tl.float32)
        for k in range(0, K, BK):
            at = k + tl.arange(0, BK)
            left = tl.load(a + row[:, None] * K + at[None, :])
            total = tl.dot(left, tl.load(b + at[:, None] * N + col[None, :]), total)
        tl.store(c + row[:, None] * N + col[None, :], total.to(tl.bfloat16))

    x = torch.zeros(1024, 1024, device="cuda", dtype=torch.bfloat16)
    y = torch.empty_like(x)
    product[(4, 4)](x, x, y, 1024, 1024, M=256, BK=64, num_stages=int(sys.argv[1]), num_warps=8)
    print("finished", torch.cuda.get_device_properties(0).shared_memory_per_block_optin)
"""


@pytest.mark.parametrize(("stages", "fits"), [("4", False), ("1", True)])
def test_a_kernel_runs_only_where_its_tiles_fit(stages: str, fits: bool, tmp_path: Path) -> None:
    seen = observe(PRODUCT, tmp_path, stages, steps=0)  # an RTX 4070: 99 KiB a block
    if fits:
        assert seen.printed() == {"finished": "101376"}, seen.stderr
    else:
        assert seen.ending.exit_code == 1
        asked = "out of resource: shared memory, Required: 196608, Hardware limit: 101376"
        assert f"OutOfResources: {asked}" in seen.stderr
        assert seen.judged().verdict.kind == "crashed"
