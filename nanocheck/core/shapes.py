"""The shape of every parameter by formula, without building the model. Imports no torch."""

from __future__ import annotations

import math

from nanocheck.core.step_fields import StepFields

Shape = tuple[int, ...]


def block_linears(config: StepFields) -> tuple[Shape, ...]:
    """(out, in) of the linear layers of one block that ``nf4-lora`` quantises."""
    c = config.n_embd
    attention = ((3 * c, c), (c, c)) if config.model == "gpt2" else ((c, c),) * 4
    return (*attention, (4 * c, c), (c, 4 * c))


def bf16_embeddings(config: StepFields) -> tuple[Shape, ...]:
    """Shapes of the embeddings that nanochat keeps in bf16 while all else is fp32."""
    table = (config.vocab_size, config.n_embd)
    if config.model == "gpt2" or config.dtype != "bf16":
        return ()
    if config.model == "nanochat-2025":
        return (table,)
    return (table,) * (1 + (config.n_layer + 1) // 2)


def parameter_shapes(config: StepFields) -> tuple[Shape, ...]:
    """Shapes of all parameters, each once, in no particular order."""
    return (
        *outer_shapes(config),
        *(shape for layer in range(config.n_layer) for shape in _block(config, layer)),
    )


def outer_shapes(config: StepFields) -> tuple[Shape, ...]:
    """Shapes of the parameters outside the blocks: embeddings, head, last norm, scalars."""
    c, vocabulary, layers = config.n_embd, config.vocab_size, config.n_layer
    if config.model == "gpt2":
        return ((vocabulary, c), (config.block_size, c), *(((c,),) * (1 + config.bias)))
    head = ((vocabulary, c), (vocabulary, c))
    if config.model == "nanochat-2025":
        return head
    values = ((vocabulary, c),) * ((layers + 1) // 2)
    smear = ((1, 24), (1,), (1,)) if config.model == "nanochat-2026" else ()
    return (*head, *values, (layers,), (layers,), *smear)


def _block(config: StepFields, layer: int) -> tuple[Shape, ...]:
    c, shapes = config.n_embd, list(block_linears(config))
    if config.model == "gpt2":
        norms = [(c,)] * (2 + 2 * config.bias)
        biases = [shape[:1] for shape in shapes] if config.bias else []
        return (*shapes, *norms, *biases)
    # Value embeddings are on every other layer, the last one among them; each has a gate per head.
    if config.model != "nanochat-2025" and layer % 2 == (config.n_layer - 1) % 2:
        shapes.append((config.n_head, 12 if config.model == "nanochat-2026" else 32))
    return tuple(shapes)


def parameter_count(config: StepFields) -> int:
    """Number of parameters by formula, each counted once; adapters are not among them."""
    return sum(math.prod(shape) for shape in parameter_shapes(config))
