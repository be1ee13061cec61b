"""Versions of PyTorch: their order, and which one is meant."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.errors import RequestError
from nanocheck.core.torch_versions import is_of, near, newest, parse_list, version_key

#: As the package index lists them, with a build that a folder of wheels adds.
THERE = ("2.15.0", "2.14.1", "2.14.0", "2.13.0+cpu", "2.13.0", "2.12.1", "2.12.0", "2.9.1", "2.9.0", "2.8.0")
IN_ORDER = ("1.13.1", "2.2.0", "2.9.0", "2.9.1", "2.10.0a0+git1", "2.10.0rc1", "2.10.0", "2.12.1", "3.0.0")


def test_ten_comes_after_nine_and_a_release_after_its_candidates() -> None:
    shuffled = list(IN_ORDER)
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled, key=version_key) == list(IN_ORDER)


@given(st.text(max_size=20))
def test_what_is_no_version_has_a_place_all_the_same(text: str) -> None:
    assert sorted([text, "2.9.0"], key=version_key) in ([text, "2.9.0"], ["2.9.0", text])


@pytest.mark.parametrize(
    ("wanted", "version", "is_meant"),
    [
        ("2.9", "2.9.1+cu128", True),
        ("2.9.1", "2.9.1+cu128", True),
        ("2.9.1+cu128", "2.9.1+cu128", True),
        ("2.9.1+cu126", "2.9.1+cu128", False),
        ("2.9", "2.90.0", False),
        ("2.1", "2.14.1", False),
        ("2.9.1", "2.9.10", False),
    ],
)
def test_two_numbers_mean_any_patch(wanted: str, version: str, is_meant: bool) -> None:
    assert is_of(wanted, version) is is_meant


def test_the_newest_patch_is_taken() -> None:
    assert newest("2.9", THERE) == "2.9.1"
    assert newest("2.9.0", THERE) == "2.9.0"


@pytest.mark.parametrize(
    ("wanted", "close"), [("2.14.7", "2.14.1"), ("2.11", "2.12.0"), ("3.1", "2.15.0"), ("1.0", "2.8.0")]
)
def test_a_version_that_is_not_there_names_those_that_are_close(wanted: str, close: str) -> None:
    with pytest.raises(RequestError) as error:
        newest(wanted, THERE)
    assert close in error.value.problem
    assert close in near(wanted, THERE)


def test_a_list_keeps_each_once() -> None:
    assert parse_list("2.9, 2.11.0,2.9,") == ("2.9", "2.11.0")


@pytest.mark.parametrize("text", ["2", "latest", "2.9;rm", "2.9.1.0", "-e .", "2.9 2.10"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="versions of PyTorch"):
        parse_list(text)
