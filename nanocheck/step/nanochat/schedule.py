"""How learning rates and momentum begin. How they end depends on the length of a run, and is left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nanocheck.core.config import StepConfig


@dataclass(frozen=True)
class Schedule:
    """Linear from the first update on.

    Attributes:
        rate_updates: updates until the full learning rate; 0: full from the first on.
        momentum_updates: updates until Muon's last momentum.
        momentum: Muon's first and last.
    """

    rate_updates: int
    momentum_updates: int
    momentum: tuple[float, float]


#: As ``base_train.py`` of each release and autoresearch's ``train.py`` have them.
SCHEDULES = {
    "nanochat-2025": Schedule(0, 300, (0.85, 0.95)),
    "nanochat-2026": Schedule(40, 400, (0.85, 0.97)),
    "autoresearch": Schedule(0, 300, (0.85, 0.95)),
}


def prepare_update(groups: Iterable[dict[str, Any]], config: StepConfig) -> None:
    """Set rate and momentum of the next update. A group counts its updates, so that checkpoints know."""
    if config.optimizer != "muon":
        return
    schedule = SCHEDULES[config.model]
    first, last = schedule.momentum
    for group in groups:
        done = group.get("updates", 0)
        group["updates"] = done + 1
        full = group.setdefault("initial_lr", group["lr"])
        group["lr"] = full * min(1.0, (done + 1) / max(schedule.rate_updates, 1))
        if "momentum" in group:
            part = min(1.0, done / schedule.momentum_updates)
            group["momentum"] = (1 - part) * first + part * last
