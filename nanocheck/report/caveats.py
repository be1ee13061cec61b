"""What a reader must know about the numbers; the one place for every page and terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nanocheck.core.result import Provenance

#: What each provenance means.
PROVENANCE = {
    Provenance.MEASURED: "a real GPU ran it",
    Provenance.VIRTUAL: "the real PyTorch ran on a virtual GPU, with its real allocator; no such card was "
    "there, memory is executed, times and values are not",
    Provenance.COMPUTED: "arithmetic only, nothing ran",
    Provenance.MODELLED: "a model fitted to published measurements, no such card was timed",
    Provenance.UNKNOWN: "nothing ran, or nobody could see on what",
}
#: Under every list of predicted step times.
PREDICTED = (
    "Step times are modelled from the kernels of each run, for the card alone; nobody timed such a card "
    "(docs/time.md says how far the model is off). What was not run was left out by a "
    "count: operations / peak of the card + memory traffic / bandwidth (nanocheck/search/step_cost.py); it "
    "also stands, as computed, where no step could be recorded."
)

_PEAKS = (
    "Peaks are PyTorch's own (max_memory_allocated, max_memory_reserved). The CUDA context and loaded "
    "kernels lie outside of them: a figure of the card's profile, known to about 60 MiB."
)
_OTHERS = (
    "What a desktop, a browser or another process holds is not known. The margin covers a plain display; for "
    "a desktop add --reserve 2GiB."
)
_VIRTUAL = (
    "A virtual GPU computes nothing: it says what fits, never how fast, and never whether a loss goes down."
)
_COURSE = (
    "A script whose course depends on values read from the GPU may take another on a real card than it took "
    "on the virtual one."
)
_WINDOWS = (
    "On Windows the driver may spill into system memory instead of failing: what is out of memory here may "
    "there run many times slower."
)
_VERSIONS = "Another version of PyTorch, of its CUDA libraries or of the training script has other peaks."
_ONE_CARD = "Figures are of one card and one process; of several ranks it is the one that needs most."
_OUTSIDE = "NCCL's own buffers and what other libraries take outside of PyTorch's allocator are not in it."
#: Of a run of several ranks, in its place.
_WITH_NCCL = (
    "What NCCL takes is a range by a model; what other libraries take outside of PyTorch's allocator is not "
    "in it."
)
_GROUPS = (
    "Groups are found by watching PyTorch, not by asking the script; what could not be named is shown as "
    "unnamed. Rounding is what the allocator adds to a request to fill its blocks."
)


def describe(provenance: str) -> str:
    """What a provenance means, as a clause; ``measured, capped NAME`` is measured."""
    return PROVENANCE[Provenance(provenance.split(",")[0])]


def sentence(provenance: str) -> str:
    """What a provenance means, with its name."""
    return f"{provenance.capitalize()}: {describe(provenance)}."


def limits_of_suite() -> tuple[str, ...]:
    """Of a report on configurations of the reference step."""
    return (_PEAKS, _OTHERS, _VIRTUAL, _WINDOWS, _VERSIONS, _ONE_CARD)


def limits_of_search(provenances: Collection[str]) -> tuple[str, ...]:
    """Of searched configurations, by what ran them."""
    return _only(provenances, _PEAKS, _OTHERS, _VIRTUAL, _WINDOWS, _VERSIONS, _ONE_CARD)


def limits_of_command(provenance: str, *, nccl: bool = False) -> tuple[str, ...]:
    """Of a run of somebody's own script; ``nccl``: its ranks had communicators."""
    outside = _WITH_NCCL if nccl else _OUTSIDE
    return _only([provenance], _PEAKS, _OTHERS, _VIRTUAL, _COURSE, outside, _WINDOWS, _VERSIONS, _GROUPS)


def _only(provenances: Collection[str], *sentences: str) -> tuple[str, ...]:
    virtual: Iterable[str] = (_VIRTUAL, _COURSE, _OUTSIDE, _WITH_NCCL)
    return tuple(each for each in sentences if Provenance.VIRTUAL in provenances or each not in virtual)
