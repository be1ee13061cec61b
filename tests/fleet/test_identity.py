"""What travels to a station of the driver's environment, and what must not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.fleet.identity import difference, differs, take_over, variables, versions

NAMES = st.sampled_from(
    [
        *("PYTORCH_ALLOC_CONF", "TORCHDYNAMO_DISABLE", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS"),
        *("NANOCHECK_CACHE", "TORCHINDUCTOR_CACHE_DIR", "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "TORCH_HOME"),
        *("PATH", "HOME", "USER", "LD_PRELOAD", "AWS_SECRET_ACCESS_KEY", "PYTHONDONTWRITEBYTECODE"),
    ]
)
#: Each machine's own, or nobody's business.
STAYS = {
    *("NANOCHECK_CACHE", "TORCHINDUCTOR_CACHE_DIR", "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "TORCH_HOME"),
    *("PATH", "HOME", "USER", "LD_PRELOAD", "AWS_SECRET_ACCESS_KEY"),
}
ENVIRONMENTS = st.dictionaries(NAMES, st.text("ab", min_size=1, max_size=2))


@given(ENVIRONMENTS, ENVIRONMENTS)
def test_a_station_has_the_driver_s_variables_and_its_own_places(
    driver: dict[str, str], station: dict[str, str]
) -> None:
    sent = variables(driver)
    assert not {name for name, _ in sent} & STAYS
    after = dict(station)
    take_over(sent, after)
    assert variables(after) == sent
    kept = STAYS - {"CUDA_VISIBLE_DEVICES"}
    assert {name: after.get(name) for name in kept} == {name: station.get(name) for name in kept}
    assert "CUDA_VISIBLE_DEVICES" not in after  # Ray hides all cards; the lease names one


def test_versions_are_compared_by_name() -> None:
    ours = versions()
    assert difference(ours, ours) == ""
    for name in ours:
        assert difference(ours, {**ours, name: "another"})
        assert differs({**ours, name: "another"}, ours)
    assert difference(ours, {})
    assert differs({**ours, "os": "another", "NANOCHECK_CACHE": "x"}, ours) == ""
