"""Optimizers that were made and never stepped with a gradient, though what they are of was trained.

A step that is left out (an overflow check that reads what nobody computed, a guard that goes on to the next
batch, an accumulation that never fills) leaves the optimizer without its state, often the most there is.
Whether a parameter was stepped is asked of the parameter: an optimizer that wraps another one, or was made
anew over the same parameters, has them from it.
"""

from __future__ import annotations

import weakref
from pathlib import Path

import torch

#: File, line and function.
Place = tuple[str, int, str]


class IdleOptimizers:
    """Of this process, in the order in which they were made."""

    def __init__(self) -> None:
        self._made: list[_Made] = []
        self._seen: weakref.WeakSet[torch.optim.Optimizer] = weakref.WeakSet()  # those that stepped
        self._stepped: set[int] = set()  # of parameters, see ``_Made``
        self._any = False

    def made(self, optimizer: torch.optim.Optimizer, where: Place | None) -> None:
        """One was made, at this line of the script."""
        self._made.append(_Made(optimizer, where))

    def stepped(self, optimizer: torch.optim.Optimizer) -> None:
        """One was stepped; without a gradient that is nothing."""
        if optimizer in self._seen or not _had_something_to_do(optimizer):
            return
        self._any = True
        self._seen.add(optimizer)
        own = [each for each in self._made if each.optimizer() is optimizer]
        if not own:  # it was copied, or read from a file
            own = [_Made(optimizer, None)]
            self._made += own
        for each in own:
            each.stepped = True
            self._stepped.update(each.known())

    def backward_ended(self) -> None:
        """Gradients may have come."""
        for each in self._made:
            each.look()

    def found(self, *, trained: bool) -> list[str]:
        """``file:line`` where each was made.

        Args:
            trained: a model was called with gradients. Where no optimizer of the process stepped that is
                enough: what shards a model may have put other parameters in an optimizer's hands since.
        """
        if not self._any:
            idle = [each for each in self._made if trained and each.trainable]
        else:
            idle = [each for each in self._made if not each.stepped and each.with_gradient - self._stepped]
        return list(dict.fromkeys(each.place for each in idle))


class _Made:
    """One optimizer.

    Parameters are known by the number of the weak reference that Python keeps for each: tensors compare
    element by element, and their own numbers come again when they are gone.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, where: Place | None) -> None:
        self.optimizer = weakref.ref(optimizer)
        self.place = "a library" if where is None else f"{Path(where[0]).name}:{where[1]}"
        self.stepped = False
        self.trainable = any(each.requires_grad for each in _parameters(optimizer))
        self.with_gradient: set[int] = set()
        self._references: dict[int, weakref.ref[torch.Tensor]] = {}

    def known(self) -> set[int]:
        """Of all parameters that it has now, or had when somebody looked."""
        optimizer = self.optimizer()
        if optimizer is not None:
            self._remember(_parameters(optimizer))
        return set(self._references)

    def look(self) -> None:
        """Which of its parameters have gradients, once there are any."""
        optimizer = None if self.stepped or self.with_gradient else self.optimizer()
        if optimizer is not None:
            of_the_card = (each for each in _parameters(optimizer) if each.is_cuda and each.is_leaf)
            self.with_gradient = self._remember([each for each in of_the_card if each.grad is not None])

    def _remember(self, parameters: list[torch.Tensor]) -> set[int]:
        found = {id(reference): reference for reference in map(weakref.ref, parameters)}
        self._references.update(found)
        return set(found)


def _had_something_to_do(optimizer: torch.optim.Optimizer) -> bool:
    """Whether any of its parameters had a gradient; or it has state, of gradients that it keeps elsewhere."""
    gradients = (each.grad for each in _parameters(optimizer) if each.is_leaf)
    return bool(optimizer.state) or any(each is not None for each in gradients)


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [each for group in optimizer.param_groups for each in group["params"]]
