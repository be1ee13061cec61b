"""What is the same to the bit, what within a rounding error; and sketches that tell how far apart."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_up_traces import HERE, fingerprint, trace

from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.numerics.rounding_errors import Measured, load_rounding_errors, save_rounding_errors
from nanocheck.numerics.tiers import TOLERANCE_FACTOR, Distance, close_problem, distance, exact_problem
from nanocheck.numerics.training.step_figures import fingerprint as taken
from nanocheck.numerics.training.step_figures import state_sha256

ROUNDING = Distance(loss=1e-3, grad_norm=1e-2, parameters=1e-4)
factor = st.floats(0.0, 3.0).filter(lambda value: abs(value - 1) > 0.01)


def test_equal_runs_are_exact_and_a_bit_anywhere_is_not() -> None:
    assert exact_problem(trace(), trace()) is None
    for other, says in (
        (trace((10.0, math.nextafter(9.0, 10))), "step 1, loss"),
        (trace(norms=(1.0, math.nextafter(1.0, 2))), "step 1, grad_norm"),
        (trace(parameter=math.nextafter(1.0, 2)), "weight"),
        (replace(trace(), optimizer_sha256="01"), "the optimizer's state differs"),
        (trace((10.0,)), "expected 2 steps, found 1"),
    ):
        assert says in str(exact_problem(other, trace()))


@given(factor)
def test_close_means_within_k_spreads_for_each_figure(times: float) -> None:
    inside = times <= 1
    for other, says in (
        (trace((10.0, 9.0 + times * TOLERANCE_FACTOR * ROUNDING.loss)), "loss of step 1"),
        (trace(norms=(1.0, 1.0 + times * TOLERANCE_FACTOR * ROUNDING.grad_norm)), "gradient norm of step 1"),
        (trace(parameter=1.0 + times * TOLERANCE_FACTOR * ROUNDING.parameters), "parameters after step 1"),
    ):
        found = close_problem(other, trace(), ROUNDING, "the oracle")
        assert (found is None) == inside
        assert inside or says in str(found)


def test_nan_is_never_close() -> None:
    for other in (trace((10.0, math.nan)), trace(norms=(1.0, math.nan)), trace(parameter=math.nan)):
        assert close_problem(other, trace(), ROUNDING, "the oracle") is not None


def test_a_distance_is_zero_to_itself_and_counts_each_figure() -> None:
    assert distance(trace(), trace()) == Distance(loss=0.0, grad_norm=0.0, parameters=0.0)
    found = distance(trace((10.5, 9.0), norms=(1.0, 1.5), parameter=1.25), trace())
    assert (found.loss, found.grad_norm, found.parameters) == (0.5, 0.5, 0.25)
    assert found.union(Distance(loss=1.0, grad_norm=0.0, parameters=0.0)) == replace(found, loss=1.0)


@given(st.integers(1, 3000), st.integers(0, 2**31), st.floats(1e-6, 10.0))
def test_sketches_estimate_the_distance_of_tensors(size: int, seed: int, scale: float) -> None:
    random = torch.Generator().manual_seed(seed)
    a = torch.randn(size, generator=random, dtype=torch.float64)
    b = a + scale * torch.randn(size, generator=random, dtype=torch.float64)
    true = (a - b).norm().item()
    # 16 buckets of random signs: the estimate's square has a relative standard deviation of sqrt(2 / 16).
    assert taken(a).distance(taken(b)) == pytest.approx(true, rel=0.95)
    assert taken(a).norm == pytest.approx(a.norm().item())
    assert taken(a) == taken(a.clone())


def test_one_changed_bit_changes_the_hash_and_the_sketch() -> None:
    a = torch.ones(100)
    b = a.clone()
    b[37] = math.nextafter(1.0, 2.0) + 1e-7
    assert taken(a).sha256 != taken(b).sha256
    assert taken(a).distance(taken(b)) == pytest.approx((b - a).double().norm().item())
    assert fingerprint(1.0) != fingerprint(2.0)


def test_spreads_are_kept_and_damage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    path = tmp_path / "spreads.json"
    assert load_rounding_errors(path) == {}
    stored = {"fp32-4": Measured(rounding_error=ROUNDING, environment=HERE)}
    save_rounding_errors(path, stored)
    assert load_rounding_errors(path) == stored
    data = json.loads(path.read_text())
    for change, says in (
        ({"schema": 9}, "schema 1, found 9"),
        ({"families": {"fp32-4": {"spread": {}}}}, "malformed rounding errors"),
        ({"families": []}, "malformed rounding errors"),
    ):
        path.write_text(json.dumps({**data, **change}))
        with pytest.raises(StoredDataError, match=says):
            load_rounding_errors(path)
    monkeypatch.setenv("CI", "1")
    with pytest.raises(RequestError, match="CI"):
        save_rounding_errors(path, stored)


def test_a_state_made_of_other_tensors_is_hashed_by_their_bits() -> None:
    """torchao's optimizers keep such states; their one tensor has no bytes of its own."""
    state = pytest.importorskip("torchao.optim.subclass_4bit").OptimState4bit.zeros((256,), signed=True)

    def sha256() -> str:
        found = torch.optim.AdamW([torch.zeros(256)])
        found.state[found.param_groups[0]["params"][0]] = {"exp_avg": state}
        return state_sha256(found)

    before = sha256()
    assert sha256() == before
    state.codes[7] = 3
    assert sha256() != before
