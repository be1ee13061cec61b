"""Every function that PyTorch imports is in a list, with what becomes of it: a new stop is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocheck.virtual.audit import Audit, library_of

LIST = Path(__file__).with_name("symbols.txt")
HINT = "python -m nanocheck.virtual.audit > tests/virtual/symbols.txt; read its diff"


@pytest.fixture(scope="module")
def found() -> Audit:
    return Audit.of_installed()


def surprises(found: Audit, listed: Audit) -> set[str]:
    """Functions that stop and are not listed so; of another torch, those that are listed as answered."""
    new = found.stops - listed.stops
    return set(new if found.torch == listed.torch else new & listed.answered)


def test_no_more_functions_stop_than_are_listed(found: Audit) -> None:
    assert surprises(found, Audit.parse(LIST.read_text())) == set(), HINT


def test_the_list_is_that_of_the_installed_torch(found: Audit) -> None:
    """So an answer that was added leaves the list of stops, and the counts are right."""
    if Audit.parse(LIST.read_text()).torch != found.torch:
        pytest.skip(f"the list is of another torch than {found.torch}; {HINT}")
    assert LIST.read_text() == found.text(), HINT


def test_a_function_that_no_longer_has_an_answer_is_noticed(found: Audit) -> None:
    lost = next(iter(sorted(found.answered)))
    broken = Audit(found.torch, found.answered - {lost}, found.stops | {lost})
    assert surprises(broken, found) == {lost}
    elsewhere = Audit("2.0.0+cu999", broken.answered, broken.stops | {"cudaOfTomorrow"})
    assert surprises(elsewhere, found) == {lost}


def test_a_list_reads_as_it_was_written(found: Audit) -> None:
    assert Audit.parse(found.text()) == found
    assert {"cudaMalloc", "cusolverDnCreate", "cudnnBackendExecute"} <= found.answered
    assert "cusparseSpGEMM_compute" in found.stops


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("cusparseLtInit", "cusparseLt"),
        ("cusparseSpMM", "cusparse"),
        ("__cudaRegisterVar", "cuda"),
        ("cudaMalloc", "cuda"),
        ("cuMemMap", "cu"),
        ("ncclSend", "nccl"),
        ("nvshmem_ptr", "nvshmem"),
        ("cublasLtMatmul", "cublasLt"),
    ],
)
def test_a_function_belongs_to_a_library(name: str, library: str) -> None:
    assert library_of(name) == library
