"""Lines to paste: a configuration in the words of the script that will train it."""

from __future__ import annotations

import msgspec

from nanocheck.core import architectures, methods
from nanocheck.core.config import StepConfig

_NANOGPT_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "tf32": "float32", "fp32": "float32"}
_EXPANDABLE = "expandable_segments:True"
#: What nanoGPT has no word for; DistributedDataParallel it has.
_SHARDED = {
    "zero1": (
        "ZeroRedundancyOptimizer around AdamW; costs: each step every rank sends the parameters it updated",
    ),
    "fsdp2": (
        "fully_shard of each block and of the model, in the place of DistributedDataParallel; costs: every "
        "micro-batch gathers the parameters twice and shares its gradients out",
    ),
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to paste where.

    Attributes:
        script: which one.
        lines: assignments for nanoGPT's configuration file or for those in autoresearch's ``train.py``, or
            one line of flags for nanochat's ``base_train``.
        environment: variables. changes: what must be edited in the script.
    """

    script: str
    lines: tuple[str, ...]
    environment: dict[str, str]
    notes: tuple[str, ...]
    changes: tuple[str, ...] = ()


def settings(config: StepConfig) -> Settings:
    """Of the script that trains this model."""
    writer = {"gpt2": _nanogpt, "autoresearch": _autoresearch}.get(config.model, _nanochat)
    changes = tuple(f"{each.title}; costs: {each.costs}" for each in _changes(config))
    changes += _SHARDED.get(config.sharding, ())
    return msgspec.structs.replace(writer(config), changes=changes)


def _nanogpt(config: StepConfig) -> Settings:
    values: dict[str, object] = {
        "batch_size": config.batch,
        # nanoGPT divides it by the ranks that torchrun starts.
        "gradient_accumulation_steps": config.accumulation * config.ranks,
        "block_size": config.block_size,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.n_embd,
        "bias": config.bias,
        "dtype": _NANOGPT_DTYPES[config.dtype],
        "compile": config.compile != "off",
    }
    environment = {}
    if config.allocator == "expandable":
        environment["PYTORCH_CUDA_ALLOC_CONF"] = _EXPANDABLE
    notes = []
    if config.ranks > 1:
        notes.append(f"start it with torchrun --standalone --nproc_per_node={config.ranks} train.py")
    if config.dtype == "fp32":
        notes.append("nanoGPT multiplies float32 in TF32: torch.backends.cuda.matmul.allow_tf32 = True")
    if config.vocab_size != architectures.usual("gpt2", "vocab_size"):
        notes.append(f"nanoGPT takes the vocabulary of {config.vocab_size} from the data set's meta.pkl")
    return Settings(
        script="nanoGPT train.py",
        lines=tuple(f"{name} = {value!r}" for name, value in values.items()),
        environment=environment,
        notes=tuple(notes),
    )


def _nanochat(config: StepConfig) -> Settings:
    values: dict[str, object] = {
        "depth": config.n_layer,
        "max-seq-len": config.block_size,
        "device-batch-size": config.batch,
        "total-batch-size": config.batch * config.accumulation * config.block_size,
    }
    environment = {}
    if config.model == "nanochat-2025":
        values = {name.replace("-", "_"): value for name, value in values.items()}
    else:
        values["window-pattern"] = config.window
        environment["NANOCHAT_DTYPE"] = _NANOGPT_DTYPES[config.dtype]
    return Settings(
        script="nanochat scripts.base_train",
        lines=(" ".join(f"--{name}={value}" for name, value in values.items()),),
        environment=environment,
        notes=tuple(_other_sizes(config)),
    )


def _autoresearch(config: StepConfig) -> Settings:
    values: dict[str, object] = {
        "DEPTH": config.n_layer,
        "DEVICE_BATCH_SIZE": config.batch,
        "TOTAL_BATCH_SIZE": config.batch * config.accumulation * config.block_size,
    }
    notes = ["this run had PyTorch's causal attention in the place of FlashAttention 3"]
    for name, field in (("MAX_SEQ_LEN", "block_size"), ("VOCAB_SIZE", "vocab_size")):
        value = getattr(config, field)
        if value != architectures.usual(config.model, field):
            notes.append(f"this run had {name} = {value}, which is prepare.py's")
    return Settings(
        script="autoresearch train.py",
        lines=tuple(f"{name} = {value}" for name, value in values.items()),
        environment={},
        notes=(*notes, *_other_sizes(config)),
    )


def _other_sizes(config: StepConfig) -> list[str]:
    own = architectures.nanochat(config.n_layer, config.model)
    if all(getattr(config, name) == value for name, value in own.items()):
        return []
    return [f"the script derives {own} from the depth; this run had other sizes"]


def _changes(config: StepConfig) -> tuple[methods.Method, ...]:
    """Methods that the script has no word for; the allocator's is the environment's."""
    return tuple(each for each in methods.used(config) if each.field != "allocator")
