"""What was seen of a run so far, and what may need more later: see ``Coverage`` in ``core/coverage.py``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from nanocheck.observe.dataset_lengths import Loaders
from nanocheck.observe.idle_optimizers import IdleOptimizers, Place
from nanocheck.observe.later.evidence import LaterSteps
from nanocheck.observe.model_inputs import ModelInputs
from nanocheck.observe.phase_hooks import LIBRARIES
from nanocheck.observe.script_code import phases_named
from nanocheck.observe.steady_state import TO_ITS_END, UNSETTLED, Growth, Settling

_MOST = 8  # findings that are written down; the verdict names one


class Covered:
    """Decides, too, whether enough was seen.

    Args:
        steps: optimizer steps that are seen at least; 0: run to the end.
        phases: ``eval``, ``save``, which must have been seen, too.
        longest: see ``Loaders``.
    """

    def __init__(self, steps: int, phases: tuple[str, ...], *, longest: bool = False) -> None:
        self._steps = steps
        self._phases = phases
        self._settling = Settling(steps)
        self._growth = Growth()
        self._inputs = ModelInputs()
        self._loaders = Loaders(longest=longest)
        self._later = LaterSteps(LIBRARIES)
        self._idle = IdleOptimizers()
        self._saved = self._evaluated = self._backward = False
        self._optimizer_steps = 0
        self._named: tuple[str, ...] = ()
        self._proof = UNSETTLED

    @classmethod
    def asked(cls) -> Covered:
        """As the environment says."""
        phases = os.environ.get("NANOCHECK_RUN_COVER", "")
        return cls(
            int(os.environ.get("NANOCHECK_RUN_STEPS", "3")),
            tuple(filter(None, phases.split(","))),
            longest=bool(os.environ.get("NANOCHECK_RUN_LONGEST")),
        )

    def install(self) -> None:
        """Hooks into PyTorch."""
        self._inputs.install()
        self._loaders.install()

    @property
    def done(self) -> int:
        """Steps that ended."""
        return self._settling.done

    def mark(self, what: str) -> None:
        """A phase began or ended. What comes before the first step does not count: there is no state yet."""
        if what == "backward-":
            self._backward = True
            self._idle.backward_ended()
        if self._optimizer_steps:
            self._saved |= what == "checkpoint-"
            self._evaluated |= what == "evaluation-"

    def optimizer_made(self, optimizer: torch.optim.Optimizer, where: Place | None) -> None:
        """There is one more, made at this line of the script."""
        self._idle.made(optimizer, where)

    def optimizer_stepped(self, optimizer: torch.optim.Optimizer) -> None:
        """One call of an optimizer's ``step`` is over."""
        self._optimizer_steps += 1
        self._idle.stepped(optimizer)
        self._named = self._named or phases_named()
        self._inputs.step_ended(first=self._optimizer_steps == 1)
        if self._steps:  # a run to the script's end has nothing that comes later
            self._later.optimizer_stepped()

    def out_of_memory(self) -> None:
        """Memory ran out: what the script tries next may have other shapes."""
        self._inputs.out_of_memory()

    def step_ended(self, peak: tuple[int, ...], requested_bytes: int, layout: Any) -> bool:
        """Whether that is enough.

        Args:
            peak: allocated and reserved bytes since the process began.
            requested_bytes: what tensors asked for and hold now.
            layout: see ``layouts_of``.
        """
        proof = self._settling.step_ended(peak, layout, repeats=not self._inputs.vary)
        self._growth.step_ended(self.done, requested_bytes)
        if not self._phases_seen():
            self._settling.postpone()
            return False
        if not self._steps or proof is None:
            return False
        self._proof = proof
        return True

    def _what_comes(self, unreached: Sequence[str]) -> list[dict[str, Any]]:
        """See ``Coverage.later``.

        A number that has differed from step to step is the size of nothing if the inputs had one shape, and
        of something else if it is none of their lengths.
        """
        lengths = (
            {length for shape in self._inputs.shapes for length in shape} if self._inputs.vary else set()
        )
        found = []
        for each in self._later.findings():
            named = each.phases and each.phases <= set(unreached)
            if not named and (not each.text or each.constant or each.now in lengths):
                found.append(each.entry())
        return found[:_MOST]

    def _phases_seen(self) -> bool:
        return all(self._seen[phase] for phase in self._phases)

    @property
    def _seen(self) -> dict[str, bool]:
        return {"eval": self._evaluation, "save": self._saved}

    @property
    def _evaluation(self) -> bool:
        return self._evaluated or self._inputs.evaluated

    def entry(self, *, how: str | None = None, unended: bool = False) -> dict[str, Any]:
        """For the journal.

        Args:
            how: how the process ended; ``None``: it runs.
            unended: the last step is over, but was not followed by another, which is how one knows.
        """
        proof = self._proof if how in (None, "answered") else TO_ITS_END
        unreached = [phase for phase in self._named if not self._seen[phase]]
        return {
            "steps": self.done + unended,
            "stopped_early": how == "answered",
            "proof": proof,
            "shapes_seen": self._inputs.shapes,
            "shapes_vary": self._inputs.vary,
            "shapes_after_oom": self._inputs.shapes_after_oom,
            "shapes_vary_after_oom": self._inputs.vary_after_oom,
            "evaluation": self._evaluation,
            "saved": self._saved,
            "unreached": unreached,
            "later": self._what_comes(unreached) if how == "answered" else (),
            "growth_bytes_per_step": self._growth.bytes_per_step,
            "optimizer_steps": self._optimizer_steps,
            "idle_optimizers": self._idle.found(trained=self._backward or bool(self._inputs.shapes))[:_MOST],
            "frozen_parameters": self._inputs.frozen,
            "longest_sample": self._loaders.longest_sample,
            "longest_batches": self._loaders.longest_batches,
        }
