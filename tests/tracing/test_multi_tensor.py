"""How often PyTorch launches over lists of tensors, by its own rule, beside what the card counted."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import pytest
from client_runs import environment_of
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.tracing.multi_tensor import launches
from nanocheck.tracing.record import MultiTensor

#: Numbers of tensors and their elements: few large ones fill blocks, many small ones the list of tensors.
CASES = [
    *([elements] * count for count in (1, 30, 31, 64, 65, 111, 449, 800) for elements in (1, 70_000)),
    [65536 * 321, 5, 65536 * 2240, 0, 9],
    [65536 * 4000],
    [65536 * 2241, *[1] * 770],  # a tensor that goes on counts again
    [0, 0, 3],
]
_SCRIPT = """
import json, sys, torch
from nanocheck.observe import introspect
from nanocheck.observe.recording.operator_facts import multi_tensor
def counted(call):
    before = introspect.counters()["launches"]
    call()
    return introspect.counters()["launches"] - before
found = []
for elements in json.load(sys.stdin):
    a, b, c = ([torch.empty(n, device="cuda") for n in elements] for _ in range(3))
    found.append([
        counted(lambda: torch._foreach_mul_(a, 2.0)),
        counted(lambda: torch._foreach_add_(a, b)),
        counted(lambda: torch._foreach_addcmul_(a, b, c)),
        counted(lambda: torch._foreach_mul_(a, [2.0] * len(a))),
    ])
print(json.dumps([multi_tensor(), found]))
"""


@pytest.fixture(scope="module")
def counted() -> tuple[MultiTensor, list[list[int]]]:
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps(CASES),
        env=environment_of("h100"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    limits, found = json.loads(ran.stdout)
    return msgspec.convert(limits, MultiTensor), found


@pytest.mark.parametrize("case", range(len(CASES)))
def test_launches_are_those_that_the_card_counts(
    case: int, counted: tuple[MultiTensor, list[list[int]]]
) -> None:
    limits, found = counted
    elements = CASES[case]
    expected = [launches(elements, lists, limits) for lists in (1, 2, 3)]
    assert [*expected, launches(elements, 1, limits, scalars=True)] == found[case]


@given(st.lists(st.integers(0, 10**8), max_size=300), st.integers(1, 5))
def test_no_launch_holds_more_than_it_can(elements: list[int], lists: int) -> None:
    limits = MultiTensor()
    chunks = sum(-(-each // limits.chunk) for each in elements)
    tensors = sum(each > 0 for each in elements)
    found = launches(elements, lists, limits)
    least = max(-(-chunks // limits.blocks[lists - 1]), -(-tensors // limits.tensors[lists - 1]))
    assert least <= found <= chunks / limits.blocks[lists - 1] + tensors / limits.tensors[lists - 1] + 1
