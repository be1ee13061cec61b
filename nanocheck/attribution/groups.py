"""What an allocation is: parameters, gradients, optimizer state, activations, logits and loss, ...

In this order: what the live objects claimed (see ``nanocheck.observe.owners``), cuBLAS's workspaces, what
lies between the head and the loss (``nanocheck.attribution.logits``), then the phase in which it was made and
the Python stack that asked for it. Autograd's own thread has no Python stack, so memory that an eager
backward asked for outside the loss and no parameter claimed is a temporary of the backward.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from nanocheck.attribution import communication, logits
from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.journal_entries import Frame
from nanocheck.attribution.phases import Band
from nanocheck.attribution.places import Places
from nanocheck.attribution.replay import Allocation

#: Group and shape.
Claim = tuple[str, list[int]]

ORDER = (
    "parameters",
    "gradients",
    "optimizer state",
    "activations",
    "logits and loss",
    "backward temporaries",
    "optimizer temporaries",
    "evaluation",
    "checkpoint",
    "buffers and inputs",
    *communication.GROUPS,
    "workspaces",
    "autotuning",
    "unnamed",
)
#: Blocks are larger than what was asked for: at the peak this is their own group, so that the sum is exact.
ROUNDING = "rounding"
#: Allocated according to PyTorch, and in nobody's history.
UNSEEN = "not in the history"

_LOSS = (
    *("cross_entropy", "linear_cross_entropy", "nll_loss", "log_softmax"),
    *("binary_cross_entropy_with_logits", "kl_div"),
)
_LARGE = 1 << 20  # below, a size says nothing
_BY_PHASE = {
    "forward": "activations",
    "backward": "backward temporaries",
    "optimizer": "optimizer temporaries",
    "evaluation": "evaluation",
    "checkpoint": "checkpoint",
    "build": "unnamed",
}
#: Inductor tries kernels: clones of their arguments, a buffer as large as the card's L2 cache.
_AUTOTUNING_FILES = ("_inductor/runtime/triton_heuristics.py", "_inductor/runtime/benchmarking.py")
_OPTIMIZER_FILES = ("clip_grad.py", "grad_scaler.py")
_INPUT_CALLS = ("to", "cuda", "pin_memory", "_apply", "send_to_device", "_prepare_input")


def assign(
    seen: Observation,
    allocations: Sequence[Allocation],
    bands: Sequence[Band],
    places: Places,
    claimed: Mapping[int, Claim],
) -> list[str]:
    """The group of each allocation, by its number."""
    band_of = bands_of(allocations, bands)
    code = sorted({each for loss in seen.losses for each in loss.code})
    kinds = [
        "loss" if places.of_stack(number).of_loss else _of_stack(frames, code)
        for number, frames in enumerate(seen.stacks)
    ]
    in_loss = [kind == "loss" for kind in kinds]
    of_loss = logits.find(seen, allocations, _lines(seen, kinds, places), in_loss)
    for first, behind in logits.backward_of_losses(seen):
        for one in allocations[first:behind]:
            # Checkpointed layers that run again there are not the loss's, nor what is fetched for the next.
            if not 0 <= one.stack < len(kinds) or kinds[one.stack] not in ("module", *communication.GROUPS):
                of_loss.add(one.number)
    of_loss |= _gradients_of_compiled_logits(seen, allocations, places)
    groups = []
    for one in allocations:
        kind = kinds[one.stack] if 0 <= one.stack < len(kinds) else ""
        claim = claimed.get(one.number)
        here = "loss" if one.number in of_loss else kind
        # Whole again for a while, a parameter is what its module holds then.
        if claim is None or kind == communication.UNSHARDED:
            groups.append(_unclaimed(here, band_of[one.number]))
        else:
            groups.append(claim[0])
    return groups


def _gradients_of_compiled_logits(
    seen: Observation, allocations: Sequence[Allocation], places: Places
) -> set[int]:
    """Where a compiled model gives out logits and nobody differentiates them, autograd makes zeros for that.

    It asks by itself, without a stack; the generated code tells which sizes only the loss has.
    """
    sizes: dict[bool, set[int]] = {True: set(), False: set()}
    alone = []
    for one in allocations:
        if 0 <= one.stack < len(seen.stacks) and seen.stacks[one.stack]:
            sizes[places.of_stack(one.stack).of_loss].add(one.requested_bytes)
        else:
            alone.append(one)
    of_loss = {each for each in sizes[True] - sizes[False] if each >= _LARGE}
    return {one.number for one in alone if one.requested_bytes in of_loss}


def _lines(seen: Observation, kinds: Sequence[str], places: Places) -> list[Hashable]:
    """Of each stack its frames up to the script's, which tell its line from any other."""
    return [
        None if kind in ("", "autotuning", *communication.GROUPS) else places.up_to_script(frames)
        for kind, frames in zip(kinds, seen.stacks, strict=True)
    ]


def _unclaimed(kind: str, band: Band | None) -> str:
    phase = "unnamed" if band is None else band.phase
    if kind == "autotuning" or kind in communication.GROUPS:
        return kind
    if phase in ("forward", "backward", "evaluation"):
        if kind == "loss":
            return "logits and loss"
        if kind == "module" and phase != "evaluation":
            return "activations"  # recomputed ones, too: checkpointing runs modules inside the backward
    if kind == "input" and phase in ("build", "forward", "optimizer"):
        return "buffers and inputs"
    # Between the marks, what neither a module nor the optimizer's helpers asked for is the script's own.
    if kind == "script" and (phase == "build" or (phase == "optimizer" and band and not band.marked)):
        return "buffers and inputs"
    return _BY_PHASE.get(phase, "unnamed")


def claims(seen: Observation, allocations: Sequence[Allocation]) -> dict[int, Claim]:
    """Group and shape of what live objects claimed, by the number of the allocation.

    Claims name an address at a moment; the allocation that was alive there then is meant.
    """
    claimed: dict[int, Claim] = {}
    by_address: dict[int, list[Allocation]] = defaultdict(list)
    for one in allocations:
        by_address[one.address].append(one)
    names = {"buffers": "buffers and inputs"}
    for moment, kinds in seen.owners:
        for kind, tensors in kinds.items():
            for address, _, _, shape in tensors:
                meant = _latest_before(by_address.get(address, ()), moment)
                if meant is not None:
                    claimed.setdefault(meant.number, (names.get(kind, kind), shape))
    for address in seen.workspace_addresses:
        at = by_address.get(address)
        if at:
            claimed.setdefault(at[-1].number, ("workspaces", []))
    return claimed


def _latest_before(candidates: Sequence[Allocation], moment: int) -> Allocation | None:
    for one in reversed(candidates):
        if one.number < moment:
            return one
    return None


def bands_of(allocations: Sequence[Allocation], bands: Sequence[Band]) -> list[Band | None]:
    """The band in which each allocation was made."""
    found = []
    at = iter(bands)
    band = next(at, None)
    for one in allocations:
        while band is not None and one.born > band.last:
            band = next(at, None)
        found.append(band)
    return found


def _of_stack(frames: Sequence[Frame], losses: Sequence[tuple[str, int, int]]) -> str:
    """loss, one of ``communication.GROUPS``, autotuning, module, optimizer, input, script; nothing where no
    Python asked.
    """
    found = ""
    for index, (file, line, name) in enumerate(frames):
        if file.endswith(_AUTOTUNING_FILES):
            return "autotuning"
        if name in _LOSS or (name == "forward" and file.endswith("torch/nn/modules/loss.py")):
            return "loss"
        if any(file == path and first <= line <= last for path, first, last in losses):
            return "loss"
        if not found and communication.is_communication(file):
            found = communication.group_of(frames[index:])
        if name in ("_call_impl", "_wrapped_call_impl"):
            # DDP calls a module like any other; what the module itself asks for is not communication.
            found = found or "module"
        if file.endswith(_OPTIMIZER_FILES) or "torch/optim/" in file:
            found = found or "optimizer"
        if name in _INPUT_CALLS and not found:
            found = "input"
    return found or ("script" if frames else "")
