"""Execution traces on disk: read in order, mended where PyTorch does not escape, refused when torn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.errors import StoredDataError
from nanocheck.tracing.generated import generated
from nanocheck.tracing.moved_bytes import touched_by
from nanocheck.tracing.operators import Operator, Tensor, read_operators, tensors, written_arguments
from nanocheck.tracing.phases import MARK, stretches
from nanocheck.tracing.record import Launch, recorded


def _node(number: int, name: str, parent: int = 1, schema: str = "") -> dict[str, Any]:
    nothing: dict[str, Any] = {"values": [], "shapes": [], "types": [], "strides": []}
    attributes = [{"name": "op_schema", "type": "string", "value": schema}]
    return {
        "id": number,
        "name": name,
        "ctrl_deps": parent,
        "inputs": nothing,
        "outputs": nothing,
        "attrs": attributes,
    }


def _unescaped(nodes: list[dict[str, Any]]) -> str:
    """As PyTorch writes: each name between quotes as it is."""
    rows = []
    for node in nodes:
        rest = json.dumps({key: value for key, value in node.items() if key not in ("id", "name")})
        rows.append(f'{{"id": {node["id"]}, "name": "{node["name"]}", {rest[1:]}')
    return '{"schema": "1", "nodes": [' + ",\n".join(rows) + "]}"


@given(
    names=st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=20), min_size=1, max_size=5
    )
)
def test_names_with_quotes_are_mended(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    names = [each.replace("\\", "/") for each in names]  # whether one is an escape, nobody can know
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    path.write_text(_unescaped([_node(len(names) - i, name) for i, name in enumerate(names)]))
    # In the file they stand in the order of their ends, here in that of their numbers.
    assert [each.name for each in read_operators(path)] == names[::-1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nodes": [{}]}', '{"nodes": [3]}', '{"nodes": null}'])
def test_what_is_no_trace_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(text)
    with pytest.raises(StoredDataError, match="execution trace"):
        read_operators(path)
    (tmp_path / "trace-7-step.json").write_text(text)
    with pytest.raises(StoredDataError):
        recorded(tmp_path)


def test_what_an_operator_writes_stands_in_its_schema() -> None:
    # Position, and whether it reads it, too.
    assert written_arguments("aten::mm(Tensor self, Tensor mat2) -> Tensor") == ()
    assert written_arguments("aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> x") == (
        (0, True),
    )
    assert written_arguments("aten::mm.out(Tensor self, Tensor mat2, *, Tensor(a!) out) -> x") == (
        (2, False),
    )
    schema = "aten::f(Tensor self, int[2] stride=[1, 1], Tensor(b!)? bias=None) -> ()"
    assert written_arguments(schema) == ((2, True),)


def _tensor(storage: int, *shape: int, dtype: str = "float32", size: int = 4) -> Tensor:
    elements = 1
    for each in shape:
        elements *= each
    return Tensor(storage, 0, elements, size, shape, dtype, True)


def _bytes(operator: Operator) -> tuple[int, int]:
    touched = touched_by(operator)
    return sum(each.size for each in touched if each.read), sum(each.size for each in touched if each.written)


def test_of_a_table_only_the_chosen_rows_are_moved() -> None:
    table, index, rows = _tensor(1, 50000, 8), _tensor(2, 10, dtype="int64", size=8), _tensor(3, 10, 8)
    schema = "aten::embedding(Tensor weight, Tensor indices) -> Tensor"
    moved = _bytes(Operator(1, 0, "aten::embedding", schema, (table, index), (rows,)))
    assert moved == (rows.bytes + index.bytes, rows.bytes)


def test_an_operator_in_place_reads_and_writes_and_a_copy_only_writes() -> None:
    one, other = _tensor(1, 100), _tensor(2, 100)
    add = Operator(
        1, 0, "aten::add_", "aten::add_.Tensor(Tensor(a!) self, Tensor other) -> x", (one, other), (one,)
    )
    copy = Operator(
        1, 0, "aten::copy_", "aten::copy_(Tensor(a!) self, Tensor src) -> x", (one, other), (one,)
    )
    assert _bytes(add) == (800, 400)
    assert _bytes(copy) == (400, 400)
    same = Operator(
        1, 0, "aten::mul", "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", (one, one), (other,)
    )
    assert _bytes(same) == (400, 400)  # one input, given twice, is read once


@given(elements=st.integers(1, 10**6), space=st.integers(1, 10**6))
def test_a_generated_kernel_moves_no_more_than_it_iterates_over(elements: int, space: int) -> None:
    launch = Launch(
        "k", (("in_ptr0", elements, 2, "bfloat16"), ("out_ptr0", elements, 4, "float32"), ("xnumel", space))
    )
    kernel = generated(launch, [5, 6], "forward")
    assert (kernel.read, kernel.written) == (2 * min(elements, space), 4 * min(elements, space))
    assert [each.storage for each in kernel.touched] == [5, 6]


def test_marks_divide_into_phases_and_parts() -> None:
    words = [
        "part:first:1",
        "x",
        "backward+",
        "x",
        "backward-",
        "part:repeated:3",
        "x",
        "backward+",
        "backward-",
    ]
    words += ["part:update:1", "x", "optimizer+", "x", "optimizer-", "x"]
    operators = [
        Operator(i, 0, "x" if word == "x" else MARK + word, "", (), ()) for i, word in enumerate(words, 1)
    ]
    found = stretches(operators, [each for each in operators if each.name == "x"])
    assert [(each.name, each.times, [phase for _, phase in each.ranges]) for each in found] == [
        ("first", 1, ["forward", "backward"]),
        ("repeated", 3, ["forward"]),
        ("update", 1, ["optimizer", "optimizer", "forward"]),
    ]


def test_tensors_of_the_host_are_none_of_the_cards() -> None:
    host = Tensor(1, 0, 4, 4, (4,), "float32", False)
    assert list(tensors((host, (host, _tensor(2, 3)), 7))) == [_tensor(2, 3)]
