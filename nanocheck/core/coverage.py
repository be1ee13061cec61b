"""How much of a run was seen: the steps, why it was stopped, and what may come that needs more.

Facts only; ``verdict.py`` decides what they mean.
"""

from __future__ import annotations

from typing import Literal

import msgspec

#: What a run can be asked to wait for: an evaluation, a saved checkpoint (``nanocheck run --cover``).
PHASES = ("eval", "save")

#: Why no further step was watched.
#:
#: - ``layout repeats``: the allocator's segments and blocks looked at the end of a step as they had at the
#:   end of an earlier one, so a program that repeats itself goes round the same circle.
#: - ``peak rested``: they never did, or inputs differed in shape, but no step raised the peak for at least
#:   as many steps as it had taken to reach it.
#: - ``not settled``: neither within the most steps that are waited for, or the process was cut off.
#: - ``ran to its end``: it was not stopped.
Proof = Literal["layout repeats", "peak rested", "not settled", "ran to its end"]


class LaterStep(msgspec.Struct, frozen=True, kw_only=True):
    """What the script's own loop does in later iterations only, by its counter (``observe/later``).

    Attributes:
        where: file and line.
        iteration: of the loop, from 1, in which it first comes.
        text: of an expression that grows; empty for a line that first runs then.
        now, value, most: of such an expression, the most so far, the first that is more, and the most to
            the loop's end; 0 where that is not known, or further than 100,000 iterations.
        steps: optimizer steps after which nothing of it is to come; 0: not known.
    """

    where: str
    iteration: int
    text: str = ""
    now: int = 0
    value: int = 0
    most: int = 0
    steps: int = 0


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What one process showed of itself, and what it did not.

    The defaults are those of a process that said nothing.

    Attributes:
        steps: optimizer steps that were watched to their end.
        stopped_early: it was ended by us, so that what would have come later is in no figure.
        shapes_seen: the smallest and the largest input, by number of elements, of the trained module with
            the most parameters; of each call the largest tensor counts. Empty where none was seen.
        shapes_vary: whether two calls had inputs of different shapes.
        shapes_after_oom, shapes_vary_after_oom: the same of calls after the last out-of-memory; empty where
            there was none. Where a script looked for its batch, the first two are these.
        evaluation: whether that module ran without gradients, or was switched by ``eval()`` and back, after
            the first optimizer step; an earlier one lacks the optimizer's state, which later ones have beside
            them.
        saved: whether ``torch.save`` ran after the first optimizer step.
        unreached: of ``PHASES``, those that the started script's own code names and that were not seen. What
            a library's trainer would do is not in that code.
        later: what the script's loops do in later iterations only, the earliest first, a few of them;
            printing and logging, and what ``unreached`` names, left out.
        growth_bytes_per_step: by how much memory that tensors ask for grew from step to step, measured where
            steps end, the first one left out; 0 where it ever fell, or rose in fewer than three steps.
        optimizer_steps: calls of an optimizer's ``step``. 0: none was seen.
        idle_optimizers: file and line where each optimizer was made that never stepped with a gradient,
            though what it is of was trained: its state is in no figure.
        frozen_parameters: numbers in parameters of the trained modules that ask for no gradient, and could be
            unfrozen later.
        longest_sample: length of the longest sample that a DataLoader's dataset holds, where that can be
            asked without running the script's code (lists of tensors, lists or dicts of them); 0: not known.
        longest_batches: whether every second batch was made of the longest samples, as ``--longest`` asks.
    """

    steps: int = 0
    stopped_early: bool = False
    proof: Proof = "not settled"
    shapes_seen: tuple[tuple[int, ...], ...] = ()
    shapes_vary: bool = False
    shapes_after_oom: tuple[tuple[int, ...], ...] = ()
    shapes_vary_after_oom: bool = False
    evaluation: bool = False
    saved: bool = False
    unreached: tuple[str, ...] = ()
    later: tuple[LaterStep, ...] = ()
    growth_bytes_per_step: int = 0
    optimizer_steps: int = 0
    idle_optimizers: tuple[str, ...] = ()
    frozen_parameters: int = 0
    longest_sample: int = 0
    longest_batches: Literal["not asked", "arranged", "not possible"] = "not asked"
