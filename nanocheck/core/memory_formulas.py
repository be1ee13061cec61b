"""Bytes of weights, gradients and optimizer state by formula, and operations of a step. Imports no torch.

Closed forms, checked in ``tests/step/test_method_footprints.py`` against what tensors of real runs ask for.
Sources: PyTorch's AdamW; bitsandbytes 0.50 ``optim/optimizer.py`` (blocks of 256, fp32 below 4096 numbers,
paged from 100,000) and ``functional.py`` (NF4 in blocks of 64, their maxima in blocks of 256); torchao 0.18
``optim/subclass_4bit.py`` (blocks of 128, fp32 below 4096) and ``optim/cpu_offload.py`` (on the device below
4096).
"""

from __future__ import annotations

import math

from nanocheck.core import sharding
from nanocheck.core.shapes import Shape, bf16_embeddings, block_linears, parameter_count, parameter_shapes
from nanocheck.core.step_fields import StepFields

#: Rank of the adapters of ``nf4-lora``.
LORA_RANK = 16
#: Parts of the tokens in a chunked loss.
LOSS_CHUNKS = 8

#: bitsandbytes keeps one table of 256 code values of its own.
_NF4_SHARED_BYTES = 4 * 256
_SMALLEST_QUANTISED = 4096
_SMALLEST_PAGED = 100_000


def trained(config: StepFields) -> list[tuple[int, int]]:
    """How many numbers each trained parameter has, and the bytes of each number.

    Of several ranks it is what the one that runs keeps of them.
    """
    if config.weights == "nf4-lora":
        block = [(LORA_RANK * width, height * LORA_RANK) for height, width in block_linears(config)]
        return [(size, 4) for pair in block for size in pair] * config.n_layer
    sizes = [math.prod(shape) for shape in _kept(config)]
    if config.weights == "bf16":
        return [(size, 2) for size in sizes]
    found = [(size, 4) for size in sizes]
    for shape in bf16_embeddings(config):
        found.remove((math.prod(shape), 4))
        found.append((math.prod(shape), 2))
    return found


def _kept(config: StepFields) -> list[Shape]:
    """The shape of every parameter, or of the rank's part of it."""
    shapes = parameter_shapes(config)
    if config.sharding != "fsdp2":
        return list(shapes)
    return [sharding.fsdp2_shard(shape, config.ranks) for shape in shapes]


def weight_bytes(config: StepFields) -> int:
    """Bytes of the weights, with quantisation constants and adapters."""
    if config.weights != "nf4-lora":
        return sum(size * each for size, each in trained(config))
    linears = [math.prod(shape) for shape in block_linears(config)] * config.n_layer
    frozen = 2 * (parameter_count(config) - sum(linears))
    return (
        frozen
        + sum(map(nf4_bytes, linears))
        + _NF4_SHARED_BYTES
        + sum(size * each for size, each in trained(config))
    )


def nf4_bytes(size: int) -> int:
    """One NF4 weight: 4 bits a number, an 8-bit maximum for each 64, an fp32 one for each 256 of those.

    And, for each weight again, both tables of code values (16 and 256 in fp32) and the mean of the maxima.
    """
    maxima = -(-size // 64)
    return -(-size // 2) + maxima + 4 * -(-maxima // 256) + 4 * (16 + 256 + 1)


def gradient_bytes(config: StepFields) -> int:
    """Bytes of all gradients, or of the largest where each is dropped at once."""
    sizes = [size * each for size, each in trained(config)]
    return max(sizes) if config.update == "backward" else sum(sizes)


def state_bytes(config: StepFields) -> int:
    """Bytes of an AdamW's state that PyTorch's allocator holds on the GPU."""
    kept = trained(config)
    if config.sharding == "zero1":
        part = sharding.zero1_parts(parameter_shapes(config), config.ranks)[sharding.rank_that_runs(config)]
        kept = [(math.prod(shape), kept[0][1]) for shape in part]
    return sum(_state(config, size, each) for size, each in kept) + _maps(config)


def bucket_bytes(config: StepFields) -> int:
    """Bytes of the buckets that DistributedDataParallel adds gradients up in, beside the gradients."""
    return gradient_bytes(config) if config.sharding in ("ddp", "zero1") else 0


def _state(config: StepFields, size: int, itemsize: int) -> int:
    name, plain = config.optimizer, 2 * size * itemsize
    if name == "adamw-fused":
        return plain + 4  # its step counter is on the GPU
    if name in ("adamw-8bit", "adamw-8bit-paged"):
        if size < _SMALLEST_QUANTISED:
            return 8 * size  # fp32, whatever the weights are
        codes = 0 if _pages(config) and size >= _SMALLEST_PAGED else 2 * size
        return codes + 2 * 4 * -(-size // 256)
    if name == "adamw-4bit" and size >= _SMALLEST_QUANTISED and size % 128 == 0:
        return 2 * (size // 2 + 4 * (size // 128) + 4 * 16)
    if name == "adamw-offload":
        return 0 if size >= _SMALLEST_QUANTISED else plain + 4
    return plain


def _maps(config: StepFields) -> int:
    """bitsandbytes' two tables of 256 values, of each optimizer that has any 8-bit state."""
    if not config.optimizer.startswith("adamw-8bit"):
        return 0
    quantised = sum(size >= _SMALLEST_QUANTISED for size, _ in trained(config))
    return 2 * 256 * 4 * (quantised if config.update == "backward" else min(quantised, 1))


def managed_bytes(config: StepFields) -> int:
    """Bytes of state in managed memory, which the driver moves between host and GPU."""
    if not _pages(config):
        return 0
    return sum(2 * size for size, _ in trained(config) if size >= _SMALLEST_PAGED)


def _pages(config: StepFields) -> bool:
    """bitsandbytes loads a checkpoint's states to the GPU as any others: resumed, nothing is paged."""
    return config.optimizer == "adamw-8bit-paged" and config.cycle != "resume"


def host_bytes(config: StepFields) -> int:
    """Bytes of the host's memory that the optimizer takes: weights, gradients, and two numbers of state."""
    if config.optimizer != "adamw-offload":
        return 0
    return sum(4 * size * each for size, each in trained(config) if size >= _SMALLEST_QUANTISED)


def static_bytes(config: StepFields) -> int:
    """Weights, gradients, state and buckets on the GPU: what a step holds beside its activations."""
    return weight_bytes(config) + gradient_bytes(config) + state_bytes(config) + bucket_bytes(config)


def chunked_loss_saving(config: StepFields) -> int:
    """About what a chunked loss saves at the loss's peak in an eager step.

    Per logit of 16 bits: 2 bytes for itself, 2 for its log-probability, 4 for that in fp32, 4 for the
    gradient; of 32 bits: 4 each for itself, its log-probability and the gradients before and after the
    softmax. nanochat's cap on the logits takes more, which is not counted.
    """
    tokens, each = config.batch * config.block_size, 12 if config.dtype in ("bf16", "fp16") else 16
    return each * tokens * config.vocab_size * (LOSS_CHUNKS - 1) // LOSS_CHUNKS


def block_flops(config: StepFields) -> int:
    """Floating-point operations of one micro-batch's forward through the blocks.

    2 for each weight of the linear layers and token, and 4 T C for attention: the count of PaLM (Chowdhery et
    al. 2022, appendix B), which does not halve for the causal mask; windows shorter than T are not counted
    shorter.
    """
    tokens, c = config.batch * config.block_size, config.n_embd
    return tokens * config.n_layer * (24 * c * c + 4 * config.block_size * c)


def recomputed_block_flops(config: StepFields) -> int:
    """What of ``block_flops`` whole-block checkpointing computes again.

    All but each block's last matrix product, 4 C wide: nothing in the backward asks for its output.
    """
    tokens, c = config.batch * config.block_size, config.n_embd
    return block_flops(config) - tokens * config.n_layer * 8 * c * c


def head_flops(config: StepFields) -> int:
    """Floating-point operations of one micro-batch's forward through the head."""
    return 2 * config.batch * config.block_size * config.n_embd * config.vocab_size
