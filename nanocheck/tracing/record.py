"""What ``observe/recording`` wrote beside an execution trace."""

from __future__ import annotations

from pathlib import Path

import msgspec

from nanocheck.core.errors import StoredDataError

_FACTS, _OPERATORS = "-step.json", "-operators.json"


class Launch(msgspec.Struct, frozen=True):
    """One launch of a generated kernel.

    Attributes:
        arguments: ``[name, elements, bytes of one, dtype]`` of a pointer, ``[name, value]`` of a size.
    """

    name: str
    arguments: tuple[tuple[str | int, ...], ...]


class MultiTensor(msgspec.Struct, frozen=True):
    """How much one launch over lists of tensors takes, by the number of lists less one.

    Attributes:
        chunk: elements that one block works on.

    The defaults are those of PyTorch for CUDA 12, ``ATen/native/cuda/MultiTensorApply.cuh``.
    """

    tensors: tuple[int, ...] = (110, 64, 48, 36, 30)
    blocks: tuple[int, ...] = (320, 320, 320, 320, 320)
    tensors_scalarlist: tuple[int, ...] = (96, 64, 48, 36, 30)
    chunk: int = 65536


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Of one process.

    Attributes:
        operators: with a kernel of their own on the card.
        counters: what the virtual GPU counted meanwhile; empty on a real one.
        tf32: whether products of fp32 matrices are rounded to TF32.
        parameters: elements of the parameters that the optimizer has, 0 where they are not known.
    """

    schema: int
    torch: str
    capability: tuple[int, int]
    generated: tuple[Launch, ...] = ()
    operators: frozenset[str] = frozenset()
    multi_tensor: MultiTensor = MultiTensor()
    counters: dict[str, int] = msgspec.field(default_factory=dict)
    device: int = 0
    tf32: bool = False
    parameters: int = 0


def recorded(folder: Path, process: str = "*") -> list[tuple[StepRecord, Path]]:
    """The steps recorded in a run's folder, each with the file of its trace; one for each process.

    Raises:
        StoredDataError: a file is none of ours.
    """
    found = []
    for path in sorted(folder.glob(f"trace-{process}{_FACTS}")):
        trace = path.with_name(path.name.removesuffix(_FACTS) + _OPERATORS)
        try:
            found.append((msgspec.json.decode(path.read_bytes(), type=StepRecord), trace))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoredDataError(f"{path}: expected the facts of a recorded step, found {error}") from error
    return found
