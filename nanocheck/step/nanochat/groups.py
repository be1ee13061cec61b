"""Which parameter is trained how, in mid-2026 and in autoresearch: the groups of their optimizer."""

from __future__ import annotations

from typing import Any

from nanocheck.core.config import StepConfig
from nanocheck.step.nanochat.autoresearch import Autoresearch
from nanocheck.step.nanochat.layers import width_scale
from nanocheck.step.nanochat.muon_2026 import MuonAdamW
from nanocheck.step.nanochat.release_2026 import Nanochat2026

HEAD_RATE, EMBEDDING_RATE, SCALAR_RATE, MATRIX_RATE, SMEAR_RATE = 0.008, 0.3, 0.5, 0.02, 0.2
MUON = {"kind": "muon", "lr": MATRIX_RATE, "momentum": 0.95, "beta2": 0.9, "weight_decay": 0.28}
#: autoresearch's: head, embeddings and Muon's matrices; its scalars are as fast as nanochat's.
AUTORESEARCH_RATES = (0.004, 0.6, 0.04)
AUTORESEARCH_SLACK = 1.02


def build_muon_adamw(model: Nanochat2026, config: StepConfig) -> MuonAdamW:
    """AdamW over head, embeddings and scalars, Muon over the blocks' matrices, one group for each shape."""
    scale = width_scale(config)
    embedding = EMBEDDING_RATE * scale
    groups = [
        _adamw([model.lm_head.weight], HEAD_RATE * scale, (0.8, 0.96), 0.01),
        _adamw(list(model.transformer["wte"].parameters()), embedding, (0.8, 0.995), 0.001),
        _adamw(list(model.value_embeds.parameters()), 0.5 * embedding, (0.8, 0.995), 0.01),
        _adamw([model.resid_lambdas], 0.01 * SCALAR_RATE, (0.8, 0.95), 0.05),
        _adamw([model.x0_lambdas], SCALAR_RATE, (0.96, 0.95), 0.0),
        _adamw(
            [model.smear_gate.weight, model.smear_lambda, model.backout_lambda], SMEAR_RATE, (0.8, 0.95), 0.0
        ),
    ]
    groups += _by_shape(list(model.transformer["h"].parameters()), MUON)
    return MuonAdamW(groups, compiled=config.compile != "off", in_bf16=config.dtype == "bf16")


def build_autoresearch_optimizer(model: Autoresearch, config: StepConfig) -> MuonAdamW:
    """As ``build_muon_adamw``, with autoresearch's numbers: no decay of what AdamW trains, one rate for all
    embeddings."""
    scale = width_scale(config)
    head, embedding, matrices = AUTORESEARCH_RATES
    betas = (0.8, 0.95)
    groups = [
        _adamw([model.lm_head.weight], head * scale, betas, 0.0),
        _adamw(list(model.transformer["wte"].parameters()), embedding * scale, betas, 0.0),
        _adamw(list(model.value_embeds.parameters()), embedding * scale, betas, 0.0),
        _adamw([model.resid_lambdas], 0.01 * SCALAR_RATE, betas, 0.0),
        _adamw([model.x0_lambdas], SCALAR_RATE, (0.96, 0.95), 0.0),
    ]
    muon = {**MUON, "lr": matrices, "beta2": 0.95, "weight_decay": 0.2}
    groups += _by_shape(list(model.transformer["h"].parameters()), muon)
    return MuonAdamW(
        groups,
        compiled=config.compile != "off",
        in_bf16=config.dtype == "bf16",
        slack=AUTORESEARCH_SLACK,
    )


def _by_shape(matrices: list[Any], muon: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**muon, "params": [each for each in matrices if each.shape == shape]}
        for shape in sorted({each.shape for each in matrices})
    ]


def _adamw(params: list[Any], rate: float, betas: tuple[float, float], decay: float) -> dict[str, Any]:
    return {
        "kind": "adamw",
        "params": params,
        "lr": rate,
        "betas": betas,
        "eps": 1e-10,
        "weight_decay": decay,
    }
