"""How long an optimizer step would take at least, by counting operations. Provenance *computed*.

For what has not run: it decides what the advisor tries, and in which order; what ran is ranked by the model
of time (``nanocheck/timing``), from its own kernels. This count knows two things about a card: how fast its
matrix units and its memory are, by the catalog. It knows nothing of clocks under load, of launches, of the
host's part or of kernels that reach less than the peak. No constant was fitted. Published steps, compiled:

- RTX 4070, nanoGPT, GPT-2 124M, batch 8 x 64 (lzwjava/zz): 9.34 s; here 9.45 s.
- RTX 4070, nanochat of mid-2026, d12, batch 8 x 4 (lzwjava/zz): 1.18 s; here 1.20 s.
- RTX 4090, nanochat of October 2025, d20, batch 4 (karpathy/nanochat#157): 13.8 s; here 13.4 s.
- H100, the same, batch 32 (run reports): 133,000 tokens/s; here 206,000. It is further from its peak.

The count, with C the width, L the layers, T the context, V the vocabulary, s the bytes of the dtype:

*Matrix operations* of a token. A product with a matrix of N elements is 2 N in the forward and 4 N in the
backward (Kaplan et al. 2020, section 2.1): 6 (12 C^2 L + V C). Attention multiplies twice in the forward and
five times in the backward, which computes the scores again, 2 T C each (Dao 2023, FlashAttention-2, section
3.1); kernels skip what the causal mask hides, half of it: 7 T C per layer. A window of w leaves w - w^2 / 2 T
of T.

*Memory traffic* of what is no matrix product, by the kernels that PyTorch runs, one read of each input and
one write of each output. Per layer, token and element of C, the forward in eager mode: two layer norms 16
(fp32), two casts 2 (4 + s), attention 4 s, two residual sums 2 (8 + s), the activation function 8 s.
Compiled, norm, cast and sum are one kernel: 2 (8 + 2 s) + 4 s + 8 s. The backward reads a gradient where the
forward reads an input, and the input: taken as twice. Loss, per element of V: eager, cast, log-softmax, their
backwards and the zeroed gradient 36 (24 in fp32); compiled 4 s (three reads and one write of the logits).

*Once per micro-batch*, per parameter: weights cast (4 + s), gradients cast (s + 4), gradients added (12).
*Once per step*: clipping 12 and the optimizer's own reads and writes. Muon: five Newton-Schulz iterations of
4 m^2 n + 2 m^3 operations for an m x n matrix, m <= n (Jordan 2024), which is 300 C^3 per layer.

The time is operations / peak + traffic / bandwidth: the two kinds of kernels run one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.config import StepConfig
from nanocheck.core.gpus import Gpu

_SIZES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2}
#: FP32 units of a multiprocessor: CUDA C++ programming guide, arithmetic instructions. 128 elsewhere.
_FP32_UNITS = {(7, 5): 64, (8, 0): 64}
#: Bytes that an optimizer reads and writes per parameter. AdamW: weight, gradient, two moments read, three
#: written, 4 bytes each; without fusion each intermediate result goes through memory, too: decay 8, first
#: moment 12, second 8 + 12, root 8, quotient 8, sum 8, update 16.
_OPTIMIZER_BYTES = {
    "adamw-fused": 28,
    "adamw-foreach": 80,
    "adamw-loop": 80,
    "adamw-8bit": 16,
    "adamw-8bit-paged": 16,
    "adamw-4bit": 14,
    "adamw-offload": 8,
    "muon": 28,
}
_CLIPPING_BYTES = 12
#: Of the 24 C^2 operations of a block: the backward does not need the output of the last product, 8 C^2.
_REPEATED_PRODUCTS = 16 / 24
#: PCIe 4.0 with 16 lanes, in each direction (PCI-SIG): over it go gradients and weights of an offloaded
#: optimizer, 4 bytes each.
_LINK_BYTES_PER_SECOND = 31.5e9


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One optimizer step.

    Attributes:
        operations: of the matrix units, recomputed ones included; a multiplication and an addition are 2.
        traffic_bytes: between the card's memory and its processors.
        link_bytes: between host and card.
        seconds: see the module.
        tokens: of the step, of all ranks; all else is one rank's, without what ranks say to each other.
    """

    operations: float
    traffic_bytes: float
    link_bytes: float
    seconds: float
    tokens: int

    @property
    def seconds_per_token(self) -> float:
        return self.seconds / self.tokens


def cost(config: StepConfig, gpu: Gpu) -> Cost:
    """The predicted cost of one optimizer step of ``config``; provenance *computed*."""
    tokens = config.batch * config.accumulation * config.block_size
    operations = tokens * operations_per_token(config) + _muon_operations(config)
    traffic = tokens * _traffic_per_token(config)
    traffic += config.accumulation * config.parameters * _micro_batch_bytes(config)
    updated = config.parameters / (config.ranks if config.sharding in ("zero1", "fsdp2") else 1)
    traffic += updated * _OPTIMIZER_BYTES[config.optimizer] + config.parameters * _CLIPPING_BYTES
    link = 8.0 * config.parameters if config.optimizer == "adamw-offload" else 0.0
    seconds = operations / peak_operations(gpu, config.dtype)
    seconds += traffic / (gpu.bandwidth_gb_s * 1e9) + link / _LINK_BYTES_PER_SECOND
    return Cost(
        operations=operations,
        traffic_bytes=traffic,
        link_bytes=link,
        seconds=seconds,
        tokens=tokens * config.ranks,
    )


def operations_per_token(config: StepConfig) -> float:
    """Matrix operations of forward, backward and recomputation for one token."""
    blocks, head = _products(config)
    short = [window - window**2 / (2 * config.block_size) for window in windows(config)]
    scores = 2.0 * config.n_embd * sum(short)
    repeated = _again(config) * (_REPEATED_PRODUCTS * blocks + 2 * scores)
    repeated += head if config.loss == "chunked" else 0
    return 3 * (blocks + head) + 7 * scores + repeated


def usual_operations_per_token(config: StepConfig) -> float:
    """The same as papers, nanoGPT and nanochat count it, for comparison: 6 N + 12 L T C, the whole square of
    attention, scores computed once, nothing recomputed (Chowdhery et al. 2022, PaLM, appendix B)."""
    blocks, head = _products(config)
    return 3 * (blocks + head) + 12.0 * config.n_embd * sum(windows(config))


def _products(config: StepConfig) -> tuple[float, float]:
    """Operations of the forward for one token: of the blocks' matrices and of the head."""
    return 2.0 * 12 * config.n_embd**2 * config.n_layer, 2.0 * config.vocab_size * config.n_embd


def windows(config: StepConfig) -> list[int]:
    """How many tokens each layer looks at, at most. Short windows of nanochat-2026: a quarter of the context
    in whole tiles of 128, the last layer always the whole (its ``gpt.py``)."""
    short = min(config.block_size, -(-config.block_size // 4 // 128) * 128)
    pattern = config.window
    found = [
        config.block_size if pattern[at % len(pattern)] == "L" else short for at in range(config.n_layer)
    ]
    return [*found[:-1], config.block_size]


def peak_operations(gpu: Gpu, dtype: str) -> float:
    """Operations per second of the units that a dtype runs on, dense.

    bf16 and fp16 by the catalog; tf32 half of that (NVIDIA's architecture whitepapers, Ampere to Blackwell);
    fp32 two operations a clock for each FP32 unit, which also stands where the catalog has no bf16.
    """
    fp32 = 2.0 * _FP32_UNITS.get(gpu.capability, 128) * gpu.sms * gpu.boost_mhz * 1e6
    if gpu.bf16_tflops is None or dtype == "fp32":
        return fp32
    return gpu.bf16_tflops * 1e12 * (0.5 if dtype == "tf32" else 1.0)


def _again(config: StepConfig) -> float:
    """The part of the blocks' matrix operations that the backward computes again."""
    if config.checkpointing == "block":
        return 1.0
    # A budget says what may be kept, not what is computed again: taken as the rest of it.
    return 1 - config.memory_budget / 100


def _traffic_per_token(config: StepConfig) -> float:
    s = _SIZES[config.dtype]
    casts = 2 * (4 + s) if s < 4 else 0
    if config.compile == "off":
        block = 16 + casts + 4 * s + 2 * (8 + s) + 8 * s
        loss = 36 if s < 4 else 24
    else:
        block, loss = 2 * (8 + 2 * s) + 4 * s + 8 * s, 4 * s
    again = 1.0 if config.checkpointing == "selective" else _again(config)
    return float((3 + again) * block * config.n_embd * config.n_layer + loss * config.vocab_size)


def _micro_batch_bytes(config: StepConfig) -> float:
    weight = 2 if config.weights == "bf16" else 4
    s = min(_SIZES[config.dtype], weight)
    casts = 2 * (weight + s) if s < weight else 0
    added = 0 if config.accumulation == 1 else 3 * weight
    return float(casts + added)


def _muon_operations(config: StepConfig) -> float:
    return 300.0 * config.n_embd**3 * config.n_layer if config.optimizer == "muon" else 0.0
