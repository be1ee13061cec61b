"""Which build of PyTorch runs on which card: our rules beside PyTorch's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.gpus import load_catalog
from nanocheck.core.torch_builds import BUILDS, NO_KERNELS, builds_for, has_kernels, why_unsupported

CUDA_13 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
CUDA_12 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CAPABILITIES = sorted({gpu.capability_text for gpu in load_catalog().values()} | {"6.1", "7.2", "10.3"})


@pytest.mark.parametrize("cuda", ["12.6", "13.0", "13.2"])
@pytest.mark.parametrize("code", [50, 60, 62, 70, 72, 75, 80, 86, 87, 90, 100, 110, 120])
def test_the_rules_are_those_of_the_installed_torch(
    cuda: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.cuda, "_code_compatible_with_device", None)
    if theirs is None:
        pytest.skip("this torch has no such rules")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    for capability in CAPABILITIES:
        number = int(capability.replace(".", ""))
        assert has_kernels(capability, [f"sm_{code}"], cuda) == theirs(number, code), capability


def test_the_builds_are_those_that_torch_names() -> None:
    torch = pytest.importorskip("torch")
    named = getattr(torch.cuda, "PYTORCH_RELEASES_CODE_CC", None)
    if named is None:
        pytest.skip("this torch names none")
    for cuda in BUILDS.keys() & named.keys():
        assert {host: set(codes) for host, codes in BUILDS[cuda].items()} == named[cuda]


@pytest.mark.parametrize(
    ("capability", "cuda_12", "cuda_13"),
    [
        ("7.0", True, False),
        ("7.5", True, True),
        ("8.9", True, True),
        ("12.0", False, True),
        ("12.1", False, True),
    ],
)
def test_cards_and_builds(capability: str, cuda_12: bool, cuda_13: bool) -> None:
    assert has_kernels(capability, CUDA_12, "12.6") is cuda_12
    assert has_kernels(capability, CUDA_13, "13.0") is cuda_13


def test_an_intermediate_form_runs_on_what_is_newer() -> None:
    assert has_kernels("12.0", [*CUDA_12, "compute_90"], "12.6")
    assert not has_kernels("7.0", [*CUDA_13, "compute_120"], "13.0")
    assert not has_kernels("12.0", ["sm_90a", "compute_90a"], "12.6")


def test_of_an_unknown_build_nothing_is_said() -> None:
    assert why_unsupported("any", "7.0", [], torch=None, cuda=None) is None


def test_the_reason_names_the_build_that_has_them() -> None:
    why = why_unsupported("Tesla V100-SXM2-16GB", "7.0", CUDA_13, torch="2.14.1", cuda="13.0")
    assert why is not None
    assert why.startswith(NO_KERNELS)
    assert "Tesla V100-SXM2-16GB" in why
    assert "CUDA 12.6 have them" in why


def test_every_card_of_the_catalog_has_a_build() -> None:
    for gpu in load_catalog().values():
        assert builds_for(gpu.capability_text, gpu.host), gpu.id


@given(st.sampled_from(CAPABILITIES), st.lists(st.sampled_from([*CUDA_12, *CUDA_13]), min_size=1))
def test_more_kernels_never_run_less(capability: str, arches: list[str]) -> None:
    assert not has_kernels(capability, arches[:1], "13.0") or has_kernels(capability, arches, "13.0")
