"""How much of a card's memory a driver keeps from CUDA, where nobody published what it leaves.

Fitted to the cards of the catalog that have readings under Linux (90 discrete cards, 138 readings; the fit
and its spread: ``python benchmarks/fit_usable_memory.py``): what is kept grows as a power of the size, and
all readings lie within a factor of that. Left out one by one, 131 of the 138 readings lie in the range that
the other cards predict, the farthest 47 MiB outside; every second card by the fit to the others: 59 of 68,
50 MiB. Of 48 readings that were found after a former fit to 91, 38 lay in what it predicted, the farthest
75 MiB outside: new drivers keep as much of a small card as of a large one. Two generations of drivers make
most of the spread (from CUDA 12.5 on they keep 100 to 200 MiB more); cards with ECC on, which takes its part
before ``nvidia-smi`` counts, lie in the upper half. Windows keeps about one MiB of what it shows; what its
desktop takes is another matter.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Platform -> the least and the most MiB kept, where that does not follow from the size: 29 readings of the
#: catalog, 0.31 to 1 MiB; programs that print whole MiB cut off the rest.
WINDOWS_KEEPS_MIB = (0.25, 1.25)
#: Bits of a memory bus from which on it is HBM; GDDR ends at 512.
_HBM_BUS_BITS = 3072
#: Their memory is the host's.
SHARED = ("8.7", "11.0", "12.1")


@dataclass(frozen=True)
class Kept:
    """MiB kept = ``factor`` x nominal MiB ^ ``power``, times ``least`` to ``most``."""

    factor: float
    power: float
    least: float
    most: float

    def range_mib(self, nominal_mib: float) -> tuple[float, float]:
        """The least and the most that is kept."""
        middle = self.factor * nominal_mib**self.power
        return middle * self.least, middle * self.most


#: By the kind of memory. Blackwell has only seen the newer drivers. Of chips that share the host's memory
#: there are three: 4.0 to 6.5 % of it is kept.
LINUX_KEEPS = {
    "gddr": Kept(13.27, 0.343, 0.509, 1.667),
    "hbm": Kept(3.10, 0.460, 0.695, 1.562),
    "blackwell": Kept(97.60, 0.161, 0.906, 1.061),
    "shared": Kept(1.0, 1.0, 0.04, 0.065),
}
SOURCE = {
    "linux": "computed: nominal_mib less what drivers keep of cards of such memory and size, by 138 readings "
    "of 90 cards (7 lie outside such a range when it is made without them, by 47 MiB at most)",
    "windows": "computed: nominal_mib less 0.25 to 1.25 MiB, as on all cards that were read under Windows",
}


def kind_of_memory(capability: str, bus_width_bits: int) -> str:
    """A key of ``LINUX_KEEPS``."""
    if capability in SHARED:
        return "shared"
    if bus_width_bits >= _HBM_BUS_BITS:
        return "hbm"
    return "blackwell" if float(capability) >= 12 else "gddr"


def usable_range_mib(
    platform: str, nominal_mib: float, capability: str, bus_width_bits: int
) -> tuple[float, float]:
    """The least and the most MiB that torch shows as ``total_memory``, predicted."""
    least_kept, most_kept = (
        WINDOWS_KEEPS_MIB
        if platform == "windows"
        else LINUX_KEEPS[kind_of_memory(capability, bus_width_bits)].range_mib(nominal_mib)
    )
    return nominal_mib - most_kept, nominal_mib - least_kept
