"""What ``nanocheck calibrate`` measures of a card, and the file that anybody may contribute.

No names, no paths, no host, no serial number. Its JSON Schema is ``docs/calibration.schema.json``, which
``python docs/generate.py`` writes. Seconds of the virtual card do not exist: nothing was computed, so a file
of it has none, and one that has is refused.

Schema history (``SCHEMA``):
1. the first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import dump_rows, read_typed, write_atomically
from nanocheck.core.kernels import Kernel
from nanocheck.core.result import Environment, Provenance
from nanocheck.core.schemas import json_schema
from nanocheck.core.steadiness import Load, Seconds, why_refused

SCHEMA = 1
_HINT = "measure again: nanocheck calibrate, on a card that does nothing else"


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, strict when read."""


class CalibratedCard(_Value, frozen=True, kw_only=True):
    """The card as PyTorch and NVML describe it; None: not said.

    Attributes:
        capability: such as ``9.0``. usable_bytes: CUDA's total. l2_bytes: of the second-level cache.
        boost_mhz, memory_mhz: the highest clocks that CUDA names. bus_width_bits: of the memory.
        power_limit_w: in force. power_default_w: as the maker set it. power_least_w, power_most_w: what it
            can be set to.
    """

    name: str
    capability: str
    multiprocessors: int
    usable_bytes: int
    l2_bytes: int
    boost_mhz: int
    memory_mhz: int
    bus_width_bits: int
    power_limit_w: float | None = None
    power_default_w: float | None = None
    power_least_w: float | None = None
    power_most_w: float | None = None


class Timing(_Value, frozen=True, kw_only=True):
    """Seconds of one call.

    Attributes:
        seconds: of many, one after the other, once the speed had settled.
        calls: in each reading, so that it is long against what a clock resolves.
        burst_s: of the first reading, before the card had settled.
        warm_s: how long the warm-up was. settled: whether the speed had stopped moving then.
        issue_s: what the host needed to issue a call; None where the host itself is what was measured.
    """

    seconds: Seconds
    calls: int
    burst_s: float
    warm_s: float
    settled: bool
    issue_s: float | None = None

    @property
    def is_host_bound(self) -> bool:
        """The host issued no faster than the card computed: the seconds may be the host's."""
        return self.issue_s is not None and self.issue_s > 0.8 * self.seconds.median_s


class Measurement(_Value, frozen=True, kw_only=True):
    """One thing that was measured.

    Attributes:
        what: in a few words.
        kernel: what the card computed, as lists of a step's kernels have it; None where it is about the host.
        timing: None where nothing was timed; refused says why.
        load: the card's state meanwhile.
        refused: why the seconds must not be used; empty where they may.
    """

    id: str
    what: str
    kernel: Kernel | None = None
    timing: Timing | None = None
    load: Load | None = None
    refused: str = ""

    @property
    def tflops(self) -> float | None:
        """10^12 operations a second, where operations are what counts."""
        if self.timing is None or self.kernel is None or not self.kernel.operations:
            return None
        return self.kernel.operations / self.timing.seconds.median_s / 1e12

    @property
    def gb_s(self) -> float | None:
        """10^9 bytes a second, read and written."""
        if self.timing is None or self.kernel is None or self.kernel.operations:
            return None
        return (self.kernel.read + self.kernel.written) / self.timing.seconds.median_s / 1e9


class CalibrationFile(_Value, frozen=True, kw_only=True):
    """A card's measurements.

    Attributes:
        provenance: measured, or virtual: then it is a rehearsal, and holds no seconds.
        date: the day, as ISO 8601 has it.
        gpu: the card's id in the catalog; None: the catalog has no such card.
        driver: its version; None: not known.
        others: what else was on the card afterwards; empty: nothing that could be seen.
        complete: everything was tried.
    """

    schema: int = SCHEMA
    provenance: Provenance
    date: str
    gpu: str | None
    card: CalibratedCard
    driver: str | None
    environment: Environment
    others: str = ""
    complete: bool = False
    measurements: tuple[Measurement, ...] = ()

    @property
    def is_rehearsal(self) -> bool:
        return self.provenance is not Provenance.MEASURED

    def measured(self) -> tuple[Measurement, ...]:
        """What a model of the card may take: measured, and not refused. The one way to the seconds.

        Raises:
            StoredDataError: it is a rehearsal on the virtual card, or others were on the card.
        """
        if self.is_rehearsal:
            raise StoredDataError(
                f"expected a calibration that a real card measured, found a {self.provenance} one",
                hint=_HINT,
            )
        if self.others:
            raise StoredDataError(f"expected a card of its own, found {self.others}", hint=_HINT)
        return tuple(each for each in self.measurements if each.timing is not None and not each.refused)


def save(path: Path, file: CalibrationFile) -> None:
    """Replaces the file as a whole: what was there before, or all of this.

    Raises:
        MachineError: it cannot be written.
    """
    plain = msgspec.to_builtins(file)
    rows = [json.dumps(row) for row in plain.pop("measurements")]
    write_atomically(path, dump_rows(plain, "measurements", rows))


def load(path: Path) -> CalibrationFile:
    """
    Raises:
        StoredDataError: damaged, of another schema, or it contradicts itself: seconds of a card that does not
            compute, a measured file of the virtual GPU, or seconds that should have been refused.
    """
    found = read_typed(path, CalibrationFile, what="a calibration", schema=SCHEMA, hint=_HINT)
    problem = contradiction(found)
    if problem:
        raise StoredDataError(f"{path}: {problem}", hint=_HINT)
    return found


def contradiction(file: CalibrationFile) -> str:
    """What in a file cannot be; empty where nothing is."""
    virtual = file.environment.virtual_gpu is not None
    if virtual == (file.provenance is Provenance.MEASURED):
        return f"expected a provenance that its environment bears out, found {file.provenance}"
    names = [each.id for each in file.measurements]
    if len(set(names)) < len(names):
        return "expected each measurement once, found one twice"
    for each in file.measurements:
        if each.timing is None:
            if not each.refused:
                return f"{each.id}: expected a word why there are no seconds, found none"
        elif file.is_rehearsal:
            return f"{each.id}: expected no seconds of a card that computes nothing, found some"
        elif not each.refused and judged(each.timing, each.load):
            return f"{each.id}: expected it refused ({judged(each.timing, each.load)}), found it is not"
    return ""


def judged(timing: Timing, load: Load | None) -> str:
    """Why a timing must not be used; empty where it may."""
    why = why_refused(timing.seconds, settled=timing.settled, load=load)
    if not why and timing.is_host_bound:
        return "the host issued it no faster than the card computed it"
    return why


def schema_of_file() -> dict[str, Any]:
    """The JSON Schema of what is written."""
    return json_schema(CalibrationFile, f"nanocheck calibrate, schema {SCHEMA}")
