"""What counts of a calibration, and what no consumer may take."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nanocheck.calibrate.calibration import REHEARSED, measurement, read_lines, seen_beside_us
from nanocheck.calibrate.workloads import workloads
from nanocheck.cli.calibrate import exit_code
from nanocheck.core import calibration
from nanocheck.core.calibration import CalibratedCard, CalibrationFile, Timing
from nanocheck.core.errors import StoredDataError
from nanocheck.core.result import Environment, Provenance
from nanocheck.core.steadiness import Load, Seconds
from nanocheck.observe.card_monitor import SLOWED_BY, summary

CARD = CalibratedCard(
    name="NVIDIA H100 80GB HBM3",
    capability="9.0",
    multiprocessors=132,
    usable_bytes=85017755648,
    l2_bytes=52428800,
    boost_mhz=1980,
    memory_mhz=2619,
    bus_width_bits=5120,
)
TIMING = Timing(
    seconds=Seconds.of([0.001] * 20), calls=20, burst_s=0.0009, warm_s=1.0, settled=True, issue_s=1e-5
)
NOISY = replace(TIMING, seconds=Seconds.of([0.001, 0.002] * 10))
WORKLOADS = workloads()


def line(timing: Timing, load: Load | None = None) -> dict[str, object]:
    plain = msgspec.to_builtins
    return {"id": "x", "timing": plain(timing), "load": plain(load or Load())}


def made(*timings: Timing, virtual: bool = False) -> CalibrationFile:
    rows = [
        measurement(workload, line(each), virtual=virtual)
        for workload, each in zip(WORKLOADS, timings, strict=False)
    ]
    return CalibrationFile(
        provenance=Provenance.VIRTUAL if virtual else Provenance.MEASURED,
        date="2026-11-27",
        gpu="h100",
        card=CARD,
        driver="580.1",
        environment=Environment(torch="2.11.0", virtual_gpu="abc" if virtual else None),
        complete=True,
        measurements=tuple(rows),
    )


def test_a_quiet_card_counts_and_a_noisy_measurement_is_kept_beside_it() -> None:
    file = made(TIMING, NOISY)
    assert [each.id for each in file.measured()] == [WORKLOADS[0].id]
    assert file.measurements[1].timing is not None
    assert file.measurements[1].refused.startswith("noisy")
    assert exit_code(made(TIMING, TIMING)) == 0
    assert exit_code(file) == 1
    assert exit_code(replace(file, complete=False)) == 5
    assert exit_code(made(NOISY)) == 6


def test_no_second_of_the_virtual_card_is_kept_or_handed_out() -> None:
    file = made(TIMING, TIMING, virtual=True)
    assert [each.timing for each in file.measurements] == [None, None]
    assert {each.refused for each in file.measurements} == {REHEARSED}
    with pytest.raises(StoredDataError, match="virtual"):
        file.measured()


def test_a_file_that_calls_the_virtual_cards_seconds_something_is_refused(tmp_path: Path) -> None:
    virtual, real = made(TIMING, virtual=True), made(TIMING)
    forged = {
        "seconds in a rehearsal": replace(virtual, measurements=real.measurements),
        "a rehearsal that is called measured": replace(virtual, provenance=Provenance.MEASURED),
        "a measured file of no known source": replace(real, provenance=Provenance.UNKNOWN),
        "noise that was not refused": replace(
            real, measurements=(replace(made(NOISY).measurements[0], refused=""),)
        ),
        "one twice": replace(real, measurements=real.measurements * 2),
        "nothing, and no word why": replace(
            virtual, measurements=(replace(virtual.measurements[0], refused=""),)
        ),
    }
    path = tmp_path / "calibration.json"
    for name, file in forged.items():
        calibration.save(path, file)
        with pytest.raises(StoredDataError):
            pytest.fail(f"{name}: {calibration.load(path)}")
    for file in (virtual, real):
        calibration.save(path, file)
        assert calibration.load(path) == file


def test_with_others_on_the_card_nothing_counts() -> None:
    file = replace(made(TIMING), others="2 other processes")
    with pytest.raises(StoredDataError, match="2 other processes"):
        file.measured()
    assert exit_code(file) == 6


@given(st.none() | st.integers(0, 20), st.none() | st.integers(0, 100))
def test_who_else_is_on_the_card_is_named(processes: int | None, busy: int | None) -> None:
    found = seen_beside_us({"processes": processes, "busy_percent": busy})
    assert bool(found) == bool(processes or (busy or 0) > 10)
    assert not processes or str(processes) in found


NUMBER = st.none() | st.integers(0, 10**6)
READ = st.fixed_dictionaries(
    dict.fromkeys(("power_mw", "sm_mhz", "memory_mhz", "temperature_c"), NUMBER)
    | {"reasons": st.none() | st.integers(0, 0x1FF)}
)


@given(st.lists(READ, max_size=10))
def test_what_nvml_says_becomes_a_load_and_every_slowing_reason_is_named(
    rows: list[dict[str, int | None]],
) -> None:
    load = msgspec.convert(summary(rows), Load)
    seen = {bit for bit in SLOWED_BY for row in rows if (row["reasons"] or 0) & bit}
    assert set(load.slowed_by) == {SLOWED_BY[bit] for bit in seen}
    assert load.power_capped == any((row["reasons"] or 0) & 0x4 for row in rows)
    known = [row["power_mw"] for row in rows if row["power_mw"] is not None]
    assert load.power_w is None or min(known) / 1000 - 0.1 <= load.power_w <= max(known) / 1000 + 0.1


@given(st.data())
def test_a_worker_that_is_killed_anywhere_leaves_what_was_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = [{"id": each.id, "failed": "é"} for each in WORKLOADS[:5]]
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in whole).encode()
    cut = data.draw(st.integers(0, len(text)))
    path = tmp_path_factory.mktemp("cut") / "measured.jsonl"
    path.write_bytes(text[:cut])
    assert read_lines(path) == whole[: text[:cut].count(b"\n")]


def test_an_error_is_kept_without_paths() -> None:
    said = {"id": "x", "failed": "RuntimeError: cannot open '/home/ada/kernel.so'"}
    found = measurement(WORKLOADS[0], said, virtual=False)
    assert found.timing is None
    assert "/home" not in found.refused
    assert "RuntimeError" in found.refused
