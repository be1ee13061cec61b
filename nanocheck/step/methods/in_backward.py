"""Parameters that change during the backward: each once it has its gradient, which is then dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Group = dict[str, Any]


class UpdateInBackward(torch.optim.Optimizer):
    """One optimizer for each parameter, run by a hook on the parameter's accumulated gradient.

    At most a few gradients are alive at a time instead of all. Nothing can look at all gradients together:
    there is no clipping, no loss scaling and no accumulation over micro-batches.
    ``step`` and ``zero_grad`` do nothing; the state dict has the layout of one optimizer over ``groups``.

    Args:
        groups: parameter groups, as PyTorch's optimizers take them.
        make: builds the optimizer of a list of groups.
        keep_norm: add up the squares of the gradients, for ``take_norm``; reads them back.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        make: Callable[[list[Group]], torch.optim.Optimizer],
        *,
        keep_norm: bool = False,
    ) -> None:
        super().__init__([{**group, "params": list(group["params"])} for group in groups], {})
        self.keep_norm = keep_norm
        self._square = 0.0
        self._single: dict[Tensor, torch.optim.Optimizer] = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                self._single[parameter] = make([{**group, "params": [parameter]}])
                parameter.register_post_accumulate_grad_hook(self._update)

    def _update(self, parameter: Tensor) -> None:
        if self.keep_norm:
            assert parameter.grad is not None
            self._square += parameter.grad.double().square().sum().item()
        self._single[parameter].step()
        parameter.grad = None

    def optimizer_of(self, parameter: Tensor) -> torch.optim.Optimizer:
        """The one that updates this parameter."""
        return self._single[parameter]

    def take_norm(self) -> float:
        """Norm of all gradients since the last call; 0 unless ``keep_norm``."""
        norm, self._square = self._square**0.5, 0.0
        return float(norm)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Nothing is left to do after the backward."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """No gradient is left after the backward."""

    def state_dict(self) -> dict[str, Any]:
        """As one optimizer over all groups would save it."""
        saved = super().state_dict()
        numbers = [number for group in saved["param_groups"] for number in group["params"]]
        for number, single in zip(numbers, self._single.values(), strict=True):
            own = single.state_dict()
            if own["state"]:
                saved["state"][number] = own["state"][0]
        groups = zip(saved["param_groups"], self._plain_groups(), strict=True)
        saved["param_groups"] = [{**plain, "params": group["params"]} for group, plain in groups]
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what ``state_dict`` of this class, or of one optimizer over the same groups, has saved."""
        singles = iter(self._single.values())
        for group in state_dict["param_groups"]:
            for number in group["params"]:
                state = {0: state_dict["state"][number]} if number in state_dict["state"] else {}
                next(singles).load_state_dict({"state": state, "param_groups": [{**group, "params": [0]}]})

    def _plain_groups(self) -> list[Group]:
        """The options of each group, as the optimizer of its first parameter completes them."""
        return [
            self._single[group["params"][0]].state_dict()["param_groups"][0] for group in self.param_groups
        ]
