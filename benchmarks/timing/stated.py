"""Constants that a source states by itself, or that are judgements: nothing here is fitted."""

from __future__ import annotations

from nanocheck.timing.constants import Constant

STATED = {
    "idle_power": Constant(
        value=0.15,
        unit="of the board power",
        meaning="what a busy board draws beside its computing units: leakage, fans, memory at rest",
        source="B300: 200 W idle of 1,400 W (per-precision power table, index excerpt), rounded",
        rows=0,
    ),
    "energy_tensor 10.0": Constant(
        value=0.33,
        unit="pJ an operation",
        meaning="energy of one tensor operation with fp32 sums",
        source="B300: (940 W - 200 W) / 2,237 TFLOPS, cuBLAS bf16 in a graph (the same table)",
        rows=0,
    ),
    "energy_byte hbm": Constant(
        value=71.0,
        unit="pJ a byte",
        meaning="energy of a byte moved to or from memory, the chip's part included",
        source="B300: (720 W - 200 W) / 7,310 GB/s while it only reads (the same table)",
        rows=0,
    ),
    "energy_byte gddr": Constant(
        value=100.0,
        unit="pJ a byte",
        meaning="the same on GDDR6 and GDDR7",
        source=(
            "that of HBM, and 8 bits of (7.5 - 3.9) pJ more in the memory itself: HBM2 "
            "3.9 pJ a bit (O'Connor et al. 2017), GDDR6 7.5 (Micron)"
        ),
        rows=0,
    ),
    "l2_share": Constant(
        value=0.5,
        unit="of L2",
        meaning="how far back L2 still holds what was touched",
        source=(
            "a judgement: half, since L2 is hashed over two partitions on large dies and other lines share it"
        ),
        rows=0,
    ),
    "l2_speed": Constant(
        value=2.9,
        unit="times memory",
        meaning="how much faster L2 is read than memory",
        source="B300: 21,000 / 7,310 GB/s (the same table)",
        rows=0,
    ),
    "link": Constant(
        value=12.0,
        unit="GB/s",
        meaning="between host and card, from pageable memory",
        source="a judgement: PCIe 4.0 with 16 lanes gives 25 from pinned memory, a staging copy halves it",
        rows=0,
    ),
    "attention_forward 7.5": Constant(
        value=0.73 / 0.87,
        unit="of a large product's speed",
        meaning="fused attention, head 128, before Hopper",
        source=(
            "Dao 2023, FlashAttention-2, section 4: up to 73 % of the A100's peak; 0.87 is issue_tensor 8.0"
        ),
        rows=0,
    ),
    "attention_backward 7.5": Constant(
        value=0.63 / 0.87,
        unit="of a large product's speed",
        meaning="the same, backward",
        source="Dao 2023: up to 63 % of the A100's peak",
        rows=0,
    ),
    "attention_forward 9.0": Constant(
        value=0.35 / 0.81,
        unit="of a large product's speed",
        meaning="FlashAttention-2 (PyTorch's) on Hopper: it does not use the warp-group instructions",
        source="Shah et al. 2024, FlashAttention-3: 35 % of the H100's peak; 0.81 is issue_tensor 9.0",
        rows=0,
    ),
    "attention_backward 9.0": Constant(
        value=0.35 / 0.81,
        unit="of a large product's speed",
        meaning="the same, backward",
        source="taken as the forward's: no row",
        rows=0,
    ),
    "attention_forward 10.0": Constant(
        value=0.84 * 578 / 2237,
        unit="of a large product's speed",
        meaning="FlashAttention-2 on data-centre Blackwell: it uses the instructions of Ampere",
        source="B300: 578 TFLOPS by mma.sync, 2,237 by cuBLAS (power table above), times Ampere's 0.84",
        rows=0,
    ),
    "attention_backward 10.0": Constant(
        value=0.72 * 578 / 2237,
        unit="of a large product's speed",
        meaning="the same, backward",
        source="the same, times Ampere's 0.72",
        rows=0,
    ),
}
