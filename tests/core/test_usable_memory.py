"""What drivers keep of a card's memory, where it is predicted."""

from __future__ import annotations

import fit_usable_memory as fitting
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.device import Target
from nanocheck.core.gpus import PLATFORMS, load_catalog
from nanocheck.core.units import GIB, MIB
from nanocheck.core.usable_memory import LINUX_KEEPS, WINDOWS_KEEPS_MIB, usable_range_mib

READ = fitting.readings()
FITTED = [kind for kind in LINUX_KEEPS if kind != "shared"]


@pytest.mark.parametrize("kind", FITTED)
def test_the_constants_are_the_fit_to_the_catalog(kind: str) -> None:
    fit, used = fitting.fit(list(READ[kind].values())), LINUX_KEEPS[kind]
    for size in (4096, 16384, 49152):
        assert used.range_mib(size) == pytest.approx(fit.range_mib(size), rel=0.01)


def test_the_spread_is_what_is_said() -> None:
    """Of the sentence that stands in the source of each predicted figure, and in docs/limits.md."""
    assert sum(len(READ[kind]) for kind in FITTED) == 90
    left_out = [outside for kind in FITTED for outside in fitting.left_out(READ[kind])]
    assert (len(left_out), sum(each > 0 for each in left_out), round(max(left_out))) == (138, 7, 47)
    split = [outside for kind in FITTED for outside in fitting.split(READ[kind])]
    assert (len(split), sum(each == 0 for each in split), round(max(split))) == (68, 59, 50)


#: Totals in GiB that posted out-of-memory messages of native Linux show, of cards that no message names, so
#: that none is a reading of the catalog: by the size that they are sold with (collected in November 2026).
POSTED_GIB = {
    4: (3.81, 3.81, 3.81, 3.80, 3.71, 3.68),
    6: (5.60, 5.64, 5.64),
    8: (7.77, 7.75, 7.79, 7.79, 7.65, 7.65, 7.63, 7.63, 7.63, 7.63, 7.52, 7.53),
    12: (11.63, 11.63, 11.63, 11.74, 11.75, 11.57, 11.63, 11.74, 11.65, 11.63),
    16: (15.70, 15.70, 15.70, 15.60, 15.60, 15.45, 15.51, 15.51, 15.69, 15.56, 15.61, 15.84),
    24: (23.47, 23.60),
    48: (47.43, 47.37, 47.40, 47.27, 44.47, 44.42, 44.42),
}


def test_posted_totals_that_were_not_fitted_lie_in_the_ranges_of_their_size() -> None:
    outside = {}
    for sold, totals in POSTED_GIB.items():
        ranges = {
            usable_range_mib("linux", gpu.nominal_bytes / MIB, gpu.capability_text, gpu.bus_width_bits)
            for gpu in load_catalog().values()
            if gpu.bus_width_bits <= 512
            and gpu.host == "x86_64"
            and 0.93 * sold < gpu.nominal_bytes / GIB <= sold
        }
        for total in totals:
            beyond = min(max(least - total * 1024, total * 1024 - most) for least, most in ranges)
            if beyond > 5:  # two digits of a GiB
                outside[total] = round(beyond)
    assert sum(map(len, POSTED_GIB.values())) == 52
    assert outside == {15.84: 25}


def test_windows_keeps_what_was_read() -> None:
    kept = [
        each for cards in fitting.readings("windows").values() for _, row in cards.values() for each in row
    ]
    assert len(kept) >= 25
    assert WINDOWS_KEEPS_MIB[0] <= min(kept) <= max(kept) <= WINDOWS_KEEPS_MIB[1]


def test_chips_with_the_hosts_memory_keep_a_share() -> None:
    shares = [each / nominal for nominal, kept in READ["shared"].values() for each in kept]
    least, most = LINUX_KEEPS["shared"].range_mib(1)
    assert least <= min(shares) <= max(shares) <= most


@given(
    st.sampled_from(PLATFORMS),
    st.floats(4096, 300_000),
    st.sampled_from(["7.5", "8.6", "8.7", "9.0", "12.0"]),
    st.sampled_from([128, 384, 5120]),
)
def test_a_prediction_is_a_range_below_the_size(
    platform: str, size: float, capability: str, bus: int
) -> None:
    least, most = usable_range_mib(platform, size, capability, bus)
    assert 0.9 * size < least < most < size


def test_a_device_says_that_its_memory_was_predicted() -> None:
    predicted = [gpu for gpu in load_catalog().values() if gpu.computed("linux")]
    assert len(predicted) > 40
    for gpu in predicted:
        device = Target(kind="virtual", gpu=gpu).device
        assert device.capacity_source == gpu.computed("linux")
        assert str(device.capacity_source).startswith("computed")
        # Safe holds at the least, out of memory is said at the most only.
        assert device.sure_capacity_bytes == gpu.usable_bytes["linux"] < device.capacity_bytes
    read = load_catalog()["rtx4090"]
    assert Target(kind="virtual", gpu=read).device.capacity_source is None
    assert read.nominal_bytes - read.usable_bytes["linux"] > 300 * MIB
