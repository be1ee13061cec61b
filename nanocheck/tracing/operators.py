"""The operators of PyTorch's execution trace, as they began, with the tensors of each."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.core.errors import StoredDataError

#: C++'s names of types, as torch writes them.
_DTYPES = {
    **{"float": "float32", "double": "float64", "c10::Half": "float16", "c10::BFloat16": "bfloat16"},
    **{"long int": "int64", "long": "int64", "int": "int32", "short int": "int16", "short": "int16"},
    **{"bool": "bool", "unsigned char": "uint8", "signed char": "int8"},
}
_NAME = re.compile(r'("name": ")(.*)(", "ctrl_deps")')
_TENSOR = re.compile(r"Tensor\(([^)]*)\)|None")
_TENSOR_FIELDS = 6  # its own number, storage, offset, elements, bytes of one, device


@dataclass(frozen=True, slots=True)
class Tensor:
    """One on a GPU, or on the host.

    Attributes:
        storage: a number, the same for all views; PyTorch may give it again once the storage is gone.
        elements: that differ: a dimension with stride 0 counts once.
        size: bytes of one element.
    """

    storage: int
    offset: int
    elements: int
    size: int
    shape: tuple[int, ...]
    dtype: str
    on_card: bool

    @property
    def bytes(self) -> int:
        """Of all different elements."""
        return self.elements * self.size


@dataclass(frozen=True, slots=True)
class Operator:
    """One range of the trace.

    Attributes:
        name: of the range: ``aten::mm``, or what somebody called it.
        schema: of the operator, with its overload; empty for other ranges.
        arguments, results: tensors, lists of tensors, or plain values.
    """

    id: int
    parent: int
    name: str
    schema: str
    arguments: tuple[Any, ...]
    results: tuple[Any, ...]

    @property
    def overload(self) -> str:
        """``aten::mm.out``."""
        return self.schema.split("(", 1)[0]

    @property
    def short(self) -> str:
        """The name without the library's."""
        return self.name.rsplit("::", 1)[-1]


def read_operators(path: Path) -> list[Operator]:
    """In the order in which they began.

    Raises:
        StoredDataError: not an execution trace, or half of one.
    """
    try:
        text = path.read_text(errors="replace")
        try:
            nodes = msgspec.json.decode(text)["nodes"]  # three times as fast as json, on some megabytes
        except msgspec.DecodeError:
            # PyTorch writes the names of ranges as they are: a quote in one ends it too early.
            nodes = json.loads(_NAME.sub(lambda m: m[1] + json.dumps(m[2])[1:-1] + m[3], text))["nodes"]
        return sorted(map(_operator, nodes), key=lambda each: each.id)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoredDataError(f"{path}: expected an execution trace of PyTorch, found {error}") from error


def _operator(node: dict[str, Any]) -> Operator:
    schema = next((each["value"] for each in node.get("attrs", ()) if each["name"] == "op_schema"), "")
    return Operator(
        id=node["id"],
        parent=node["ctrl_deps"],
        name=node["name"],
        schema=schema,
        arguments=tuple(_values(node["inputs"])),
        results=tuple(_values(node["outputs"])),
    )


def _values(part: dict[str, Any]) -> Iterator[Any]:
    strides = part.get("strides") or [None] * len(part["types"])
    for value, shape, kind, stride in zip(
        part["values"], part["shapes"], part["types"], strides, strict=True
    ):
        yield _value(value, shape, kind, stride)


def _value(value: Any, shape: Any, kind: str, stride: Any) -> Any:
    if kind.startswith("Tensor(") and isinstance(value, list) and len(value) == _TENSOR_FIELDS:
        elements = 1
        for index, length in enumerate(shape):
            if not (stride and index < len(stride) and stride[index] == 0):
                elements *= length
        return Tensor(
            storage=value[1],
            offset=value[2],
            elements=elements,
            size=value[4],
            shape=tuple(shape),
            dtype=_dtype(kind[len("Tensor(") : -1]),
            on_card=str(value[5]).startswith("cuda"),
        )
    if kind.startswith("GenericList[") and "Tensor(" in kind and isinstance(value, list):
        kinds = [each.group(0) for each in _TENSOR.finditer(kind)]
        # Only the first shapes of a long list are recorded; of the others the elements are known.
        return tuple(
            _value(one, _at(shape, i) or [one[3]], kinds[i], _at(stride, i))
            for i, one in enumerate(value)
            if i < len(kinds) and isinstance(one, list)
        )
    return value


def _at(values: Any, index: int) -> Any:
    return values[index] if isinstance(values, list) and index < len(values) else None


@functools.cache
def _dtype(name: str) -> str:
    return _DTYPES.get(name, name.removeprefix("c10::").lower())


def tensors(values: Any) -> Iterator[Tensor]:
    """Every tensor on the card among them, lists opened."""
    for value in values:
        if isinstance(value, Tensor):
            if value.on_card:
                yield value
        elif isinstance(value, tuple):
            yield from tensors(value)


@functools.cache
def written_arguments(schema: str) -> tuple[tuple[int, bool], ...]:
    """Positions of the arguments that an operator writes to, each with whether it also reads them.

    From the schema's marks: ``Tensor(a!) self`` is changed, ``*, Tensor(a!) out`` only written.
    """
    found, position, keywords = [], 0, False
    for argument in arguments_of(schema):
        if argument == "*":
            keywords = True
            continue
        if "!)" in argument:
            found.append((position, not keywords))
        position += 1
    return tuple(found)


@functools.cache
def arguments_of(schema: str) -> tuple[str, ...]:
    """Of ``aten::mm(Tensor self, Tensor mat2) -> Tensor``: each with its type, and ``*``."""
    found, depth, word = [], 0, ""
    for letter in schema.partition("(")[2]:
        if letter == "," and not depth:
            found.append(word.strip())
            word = ""
            continue
        depth += (letter in "([") - (letter in ")]")
        if depth < 0:
            break
        word += letter
    if word.strip():
        found.append(word.strip())
    return tuple(found)
