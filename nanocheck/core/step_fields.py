"""The fields of one configuration of the reference training step, and the values each may have.

``config.StepConfig`` is these fields with their rules and their name; formulas need the fields alone.
"""

from __future__ import annotations

from dataclasses import dataclass

MODELS = ("gpt2", "nanochat-2025", "nanochat-2026", "autoresearch")
DTYPES = ("fp32", "tf32", "bf16", "fp16")
COMPILE_MODES = ("off", "default", "reduce-overhead")
ADAMWS = ("adamw-fused", "adamw-foreach", "adamw-loop")
#: Less state than two fp32 numbers a parameter, or state in the host's memory.
SMALL_OPTIMIZERS = ("adamw-8bit", "adamw-8bit-paged", "adamw-4bit", "adamw-offload")
OPTIMIZERS = (*ADAMWS, *SMALL_OPTIMIZERS, "muon")
ALLOCATORS = ("default", "expandable")
CYCLES = ("train", "full", "whole", "resume")
CHECKPOINTING = ("none", "block", "selective")
WEIGHTS = ("fp32", "bf16", "nf4-lora")
LOSSES = ("full", "chunked")
UPDATES = ("step", "backward")
#: How ranks share a training; ``none``: there is one.
SHARDINGS = ("none", "ddp", "zero1", "fsdp2")


@dataclass(frozen=True, kw_only=True)
class StepFields:
    """One configuration of the reference GPT training step.

    Attributes:
        model: ``gpt2``, ``nanochat-2025`` (the release of October 2025), ``nanochat-2026`` (its state of
            mid-2026) or ``autoresearch`` (the script that was made of nanochat). In plain data the depth of
            the last three decides width and heads: see ``architectures.nanochat``.
        n_layer, n_head, n_embd: transformer blocks, attention heads, width (``n_embd % n_head == 0``).
        block_size: tokens per sequence, T.
        vocab_size: rows of the embedding, V (50304 is GPT-2's 50257 padded, as nanoGPT does).
        bias: biases in the linear layers and layer norms.
        batch: sequences per micro-batch, B.
        accumulation: micro-batches per optimizer step; the loss is divided by it.
        dtype: ``fp32`` (TF32 off), ``tf32`` (fp32 with TF32 matmuls), ``bf16`` or ``fp16`` autocast
            (``fp16`` with a GradScaler). ``nanochat-2026`` has no autocast: it casts weights to this dtype
            where it uses them.
        compile: ``torch.compile`` mode; ``reduce-overhead`` uses CUDA graphs.
        optimizer: which AdamW implementation (``adamw-8bit`` and its paged form are bitsandbytes', 4-bit and
            offload torchao's), or ``muon``: nanochat's pair of Muon for matrices and AdamW for the rest.
        allocator: ``default``, or ``expandable`` for ``expandable_segments:True``.
        cycle: ``train``: optimizer steps only. ``full``: evaluation first, as nanoGPT does, then
            steps, evaluation and a checkpoint save. ``whole``: the same with sampling before the save.
            ``resume``: starts by loading a checkpoint.
        seed: of the weights and of the data.
        window: nanochat-2026's pattern of attention windows, tiled over the layers: L full, S short.
        checkpointing: activations that the backward computes again: ``none``, whole blocks (``block``), or
            all but matrix products and attention (``selective``).
        weights: ``fp32`` master weights, ``bf16`` ones (then gradients and state are bf16, too), or
            ``nf4-lora``: 4-bit weights that stay as they are, and small trained adapters. The last is
            fine-tuning, not pretraining.
        loss: ``full`` logits, or ``chunked``: logits of a part of the tokens at a time.
        update: parameters change in the optimizer's ``step``, or as soon as the ``backward`` has their
            gradient, which is then dropped (accumulation 1 only, no clipping).
        memory_budget: percent of the activations that a compiled step may keep, AOTAutograd's
            ``activation_memory_budget``; 100 leaves the choice to it.
        ranks: processes that train together, each on a card of its own. ``batch`` and ``accumulation`` are
            each rank's: a step trains on ``ranks`` times as many tokens. One rank is run, the one that needs
            most (``sharding.rank_that_runs``).
        sharding: what of the training each rank keeps whole: ``ddp`` everything (DistributedDataParallel),
            ``zero1`` all but the optimizer's state (ZeroRedundancyOptimizer under it), ``fsdp2`` nothing
            (``fully_shard`` of each block and of the rest). gpt2 only.
    """

    model: str = "gpt2"
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    block_size: int = 1024
    vocab_size: int = 50304
    bias: bool = False
    batch: int = 8
    accumulation: int = 1
    dtype: str = "bf16"
    compile: str = "off"
    optimizer: str = "adamw-fused"
    allocator: str = "default"
    cycle: str = "train"
    seed: int = 1337
    window: str = "L"
    checkpointing: str = "none"
    weights: str = "fp32"
    loss: str = "full"
    update: str = "step"
    memory_budget: int = 100
    ranks: int = 1
    sharding: str = "none"
