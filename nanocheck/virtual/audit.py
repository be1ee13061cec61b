"""Which functions PyTorch imports, and which of them the virtual GPU answers: the list that a test holds.

``python -m nanocheck.virtual.audit > tests/virtual/symbols.txt`` writes it for the installed torch.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass

from nanocheck.virtual.build import LIBRARY, build_library
from nanocheck.virtual.installed_torch import find_torch
from nanocheck.virtual.symbols import asked_symbols, stopping_symbols

_PREFIX = re.compile(r"(?:__)?(cublasLt|cusolver|cusparseLt|cu[a-z]+|nccl|nvshmem|cu)")


@dataclass(frozen=True)
class Audit:
    """What one torch imports from NVIDIA's libraries.

    Attributes:
        torch: its version.
        answered: functions with an answer. stops: those that end a run by their name.
    """

    torch: str
    answered: frozenset[str]
    stops: frozenset[str]

    @classmethod
    def of_installed(cls) -> Audit:
        """Read from the wheels and from the compiled library.

        Raises:
            MachineError: no CUDA build of torch, or the library cannot be compiled.
        """
        torch = find_torch()
        asked = asked_symbols(torch)
        stops = asked & stopping_symbols(build_library(torch) / LIBRARY)
        return cls(torch.version, frozenset(asked - stops), frozenset(stops))

    def text(self) -> str:
        """The list: counts of each library, then one function a line."""
        counts = {word: Counter(map(library_of, names)) for word, names in self._each()}
        lines = [
            "# What PyTorch imports from NVIDIA's libraries, and whether the virtual GPU answers it.",
            "# python -m nanocheck.virtual.audit > tests/virtual/symbols.txt",
            f"torch {self.torch}",
        ]
        for library in sorted(counts["answered"] | counts["stops"]):
            parts = ", ".join(f"{count[library]} {word}" for word, count in counts.items())
            lines.append(f"# {library}: {parts}")
        lines.append(f"# together: {len(self.answered)} answered, {len(self.stops)} stops")
        lines += [f"{word} {name}" for word, names in self._each() for name in sorted(names)]
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> Audit:
        """The list as ``text`` writes it; lines that begin with ``#`` are for people."""
        rows = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        found: dict[str, list[str]] = {"torch": [], "answered": [], "stops": []}
        for word, name in rows:
            found[word].append(name)
        return cls(found["torch"][0], frozenset(found["answered"]), frozenset(found["stops"]))

    def _each(self) -> list[tuple[str, frozenset[str]]]:
        return [("answered", self.answered), ("stops", self.stops)]


def library_of(name: str) -> str:
    """``cusparse`` for cusparseSpMM, ``cuda`` for __cudaRegisterVar, ``cu`` for the driver's own."""
    match = _PREFIX.match(name)
    return match.group(1) if match else name


if __name__ == "__main__":
    sys.stdout.write(Audit.of_installed().text())
