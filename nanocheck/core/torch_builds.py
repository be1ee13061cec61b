"""Whether a build of PyTorch has kernels for a card: the virtual GPU runs any build, a real card does not.

The rules and the lists are PyTorch's own (``_code_compatible_with_device`` and ``PYTORCH_RELEASES_CODE_CC``
of ``torch/cuda/__init__.py``, 2.14): machine code for 8.0 runs on 8.6, not on 9.0; what was compiled for a
desktop does not run on the Jetson of its generation before CUDA 13.2; an intermediate form
(``compute_120``) is compiled by the driver for whatever is newer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Begins every reason, so that such a verdict can be told from what the virtual GPU does not answer.
NO_KERNELS = "no kernels for this card:"
#: CUDA of a build that PyTorch offers -> host -> compute capabilities that it has machine code for.
BUILDS = {
    "12.6": {"x86_64": (50, 60, 70, 75, 80, 86, 90), "aarch64": (80, 90)},
    "13.0": {"x86_64": (75, 80, 86, 90, 100, 120), "aarch64": (80, 90, 100, 110, 120)},
    "13.2": {"x86_64": (75, 80, 86, 90, 100, 120), "aarch64": (80, 90, 100, 110, 120)},
}
#: Jetson: machine code of these runs there only, and nothing else before this CUDA.
_JETSON = {53: (53,), 62: (62,), 72: (72,), 87: (87,), 101: (101, 110), 110: (101, 110)}
_JETSON_RUNS_OTHERS = (13, 2)


def has_kernels(capability: str, arch_list: Sequence[str], cuda: str | None) -> bool:
    """Whether a card of this capability runs what was compiled; true where nothing is known of the build.

    Args:
        arch_list: as ``torch.cuda.get_arch_list()`` returns it. cuda: of the build, such as ``13.0``.
    """
    card = _number(capability)
    known = [found for each in arch_list if (found := re.fullmatch(r"(sm|compute)_(\d+)([af]?)", each))]
    return not known or any(_runs(card, each[1], each[2], each[3], cuda) for each in known)


def builds_for(capability: str, host: str = "x86_64") -> tuple[str, ...]:
    """CUDA versions of the builds that PyTorch offers with kernels for the card, on machines of this kind."""
    card = _number(capability)
    return tuple(
        cuda
        for cuda, hosts in BUILDS.items()
        if any(_runs(card, "sm", str(code), "", cuda) for code in hosts[host])
    )


def why_unsupported(
    name: str, capability: str, arch_list: Sequence[str], *, torch: str | None, cuda: str | None
) -> str | None:
    """Why a real card would not run this build, and which builds it runs; None where it would."""
    if has_kernels(capability, arch_list, cuda):
        return None
    other = builds_for(capability)
    there = (
        f"builds for CUDA {' and '.join(other)} have them" if other else "no build that PyTorch offers does"
    )
    return (
        f"{NO_KERNELS} {name} has compute capability {capability}, PyTorch {torch} for CUDA {cuda} was built "
        f"for {' '.join(arch_list)}; {there}"
    )


def _number(capability: str) -> int:
    major, minor = capability.split(".")
    return int(major) * 10 + int(minor)


def _runs(card: int, kind: str, code_text: str, suffix: str, cuda: str | None) -> bool:
    code = int(code_text)
    if kind == "compute":
        return card == code if suffix == "a" else card >= code
    if suffix == "a":
        return card == code
    if code in _JETSON:
        return card in _JETSON[code]
    if card in _JETSON and card != 110 and not _unified(cuda):
        return False
    return card // 10 == code // 10 and card >= code


def _unified(cuda: str | None) -> bool:
    """Whether its code for servers runs on a Jetson of the same generation."""
    found = re.match(r"(\d+)\.(\d+)", cuda or "")
    return found is not None and (int(found[1]), int(found[2])) >= _JETSON_RUNS_OTHERS
