"""Lines to paste: an answer in the words of the script that will train it."""

from __future__ import annotations

from typing import Any

from nanocheck import methods, models
from nanocheck.config import StepConfig

_NANOGPT_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "tf32": "float32", "fp32": "float32"}
_EXPANDABLE = "expandable_segments:True"


def lines(config: StepConfig) -> dict[str, Any]:
    """What to paste where.

    Returns:
        script: which one. lines: assignments for nanoGPT's configuration file, or one line of flags for
        nanochat's ``base_train``. environment: variables. changes: what must be edited in the script.
    """
    found = _nanogpt(config) if config.model == "gpt2" else _nanochat(config)
    changes = [f"{each.title}; costs: {each.costs}" for each in _changes(config)]
    return {**found, "changes": changes}


def _nanogpt(config: StepConfig) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "batch_size": config.batch,
        "gradient_accumulation_steps": config.accumulation,
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
    if config.dtype == "fp32":
        notes.append("nanoGPT multiplies float32 in TF32: torch.backends.cuda.matmul.allow_tf32 = True")
    if config.vocab_size != models.usual("gpt2", "vocab_size"):
        notes.append(f"nanoGPT takes the vocabulary of {config.vocab_size} from the data set's meta.pkl")
    return {
        "script": "nanoGPT train.py",
        "lines": [f"{name} = {value!r}" for name, value in settings.items()],
        "environment": environment,
        "notes": notes,
    }


def _nanochat(config: StepConfig) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "depth": config.n_layer,
        "max-seq-len": config.block_size,
        "device-batch-size": config.batch,
        "total-batch-size": config.batch * config.accumulation * config.block_size,
    }
    environment, notes = {}, []
    if config.model == "nanochat-2025":
        settings = {name.replace("-", "_"): value for name, value in settings.items()}
    else:
        settings["window-pattern"] = config.window
        environment["NANOCHAT_DTYPE"] = _NANOGPT_DTYPES[config.dtype]
    own = models.nanochat(config.n_layer, config.model)
    if any(getattr(config, name) != value for name, value in own.items()):
        notes.append(f"the script derives {own} from the depth; this run had other sizes")
    return {
        "script": "nanochat scripts.base_train",
        "lines": [" ".join(f"--{name}={value}" for name, value in settings.items())],
        "environment": environment,
        "notes": notes,
    }


def _changes(config: StepConfig) -> tuple[methods.Method, ...]:
    """Methods that the script has no word for; the allocator's is the environment's."""
    return tuple(each for each in methods.used(config) if each.field != "allocator")
