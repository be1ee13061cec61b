"""Evaluation of a trained model on fresh text, beside the text's source itself. Runs in the job's process."""

from __future__ import annotations

import math

import numpy as np
import torch

from nanocheck.core.errors import RequestError
from nanocheck.numerics.language.source import fresh_windows, language
from nanocheck.numerics.training.step_figures import Figures
from nanocheck.step.training import Training


def evaluate_held_out(figures: Figures, text: str, batches: int) -> dict[str, float]:
    """Mean losses in nats a token over ``batches`` batches of the run's own shape; nothing for 0 batches.

    Returns:
        ``held_out``: the model's; ``held_out_source``: the source's on the same positions;
        ``held_out_error``: the standard error of their difference, from the spread between batches, which
        are independent.

    Raises:
        RequestError: the text is not the language, or fewer than two batches show no spread.
    """
    if batches == 0:
        return {}
    if text != "language" or batches < 2:
        raise RequestError(
            f"held_out: expected 2 or more batches of the text language, found {batches} of {text}",
            hint="set text to language, or held_out to 0",
        )
    assert figures.training is not None, "no step ran"
    training = figures.training
    windows = fresh_windows(batches * training.config.batch, training.config.block_size)
    found = np.array([_loss(training, part) for part in np.split(windows, batches)])
    source = language().losses(windows).reshape(batches, -1).mean(1)
    return {
        "held_out": float(found.mean()),
        "held_out_source": float(source.mean()),
        "held_out_error": float((found - source).std(ddof=1) / math.sqrt(batches)),
    }


@torch.no_grad()
def _loss(training: Training, windows: np.typing.NDArray[np.int64]) -> float:
    """The model's own loss on a batch of windows (B, T + 1), which has the shape of those it trains on."""
    both = torch.from_numpy(windows).to(training.x.device)
    # As the loop hands them over: nanochat's inputs of 2025 are int32.
    inputs, targets = both[:, :-1].to(training.x.dtype).contiguous(), both[:, 1:].contiguous()
    training.network.eval()
    with training.autocast:
        answer = training.network(inputs, targets)
    training.network.train()
    loss: torch.Tensor = answer[1] if isinstance(answer, tuple) else answer
    return loss.item()
