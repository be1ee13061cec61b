"""What a script reads from the virtual GPU, where nothing is computed.

Values that the program wrote itself (copies and fills of up to 1 MiB, of integers and booleans up to 16
MiB, as long as no kernel was handed their memory to write to) read as they are, and so do the integers and
booleans that PyTorch's operators make of known ones (``values.known_operators``). Everything else would
have come from a kernel that never ran. It reads

* as one, if it is a number: ``total / count``, ``log(loss)`` and ``1 / norm`` live where a zero would end
  honest scripts, and ``while norm > 1`` ends;
* if it is a bool, as what PyTorch's own predicates say of ones (csrc/values/predicates.c): ``isnan`` and
  ``isinf`` are false, ``isfinite`` and ``torch.equal`` true, ``loss > 10`` false. Where even that says
  nothing, ``all`` of it is true and the rest false. So a run goes on as a healthy one does, and loops end.
  Numbers made of ``isnan``, ``isinf`` and ``isfinite`` (counts of overflows, flags of 8 bits) are what
  they would be if all numbers were finite (``values.healthy_answers``).

This holds for ``item()``, ``bool()``, ``float()``, ``int()`` and ``tolist()``, and for ``cpu()`` and
``to("cpu")`` of tensors of up to 64 MiB. It does not reach ``cpu()`` inside compiled functions, nor
``host.copy_(tensor)``. Sizes that PyTorch itself reads back (``nonzero``, boolean masks, ``unique``) are true
where they hang on known values, else what a policy says (``values.unknown_sizes``).

Nothing here allocates on the card, and every read still happens as it did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from nanocheck.observe import introspect
from nanocheck.observe.values import card_memory, drawn_again
from nanocheck.observe.values.overriding import override_operators
from nanocheck.observe.values.real_kernels import put, real_kernel
from nanocheck.observe.values.script_place import script_place
from nanocheck.observe.values.unknown_sizes import COUNTS, UnknownSizes

_FILL_LIMIT_BYTES = 64 << 20
_PLAIN = (torch.Tensor, torch.nn.Parameter)
_HAS_KERNELS = hasattr(torch.library, "get_kernel")  # since torch 2.9

_placeholders = 0
_scalars = 0  # of them, those that the C library saw as a read of one number
_first_place: str | None = None
_library: Any = None  # torch.library.Library: what it registers is gone with it
_sizes: UnknownSizes | None = None  # None: nobody decides, and unknown sizes are one


def placeholders() -> int:
    """How many reads in this process gave values that nobody computed."""
    return _placeholders


def placeholder_sizes() -> int:
    """How many counts PyTorch read for itself were one, by no policy (before torch 2.9: all)."""
    if introspect.version() is None:
        return 0
    copied = 0 if _sizes is None else _sizes.copied
    return max(card_memory.counts_made_up() - _scalars - copied, 0)


def first_place() -> str | None:
    """``file:line`` of the script where the first made-up value was read; ``None`` while there is none."""
    return _first_place


def unknown_sizes() -> UnknownSizes | None:
    """What decides sizes that hang on values nobody computes, and how often it did; ``None``: nothing."""
    return _sizes


def install() -> bool:
    """Let this process read as the module says; False, and nothing changed, where the GPU is not ours.

    Call it once torch is imported; a second call changes nothing.
    """
    global _library, _sizes
    if introspect.version() is None:
        return False
    if _library is not None:
        return True
    _library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    _override_scalar(_library)
    sizes = UnknownSizes.of_environment()
    _sizes = sizes if override_operators(_library, sizes) else None
    _wrap("cpu", _after_copy)
    _wrap("to", _after_copy)
    _wrap("tolist", _after_list)
    if not _HAS_KERNELS:
        _read_large_numbers()
    return True


def _override_scalar(library: Any) -> None:
    real = _real_scalar()

    def _local_scalar_dense(tensor: torch.Tensor) -> Any:
        waited = card_memory.read_waits()
        value = real(tensor)
        if waited and not card_memory.read_waits():
            return value  # a size that somebody told (values.unknown_sizes)
        if not _stands(tensor, scalar=True):
            value = _one(tensor.dtype)
        drawn = drawn_again.outside() if tensor.dtype == torch.bool else None
        return value if drawn is None else drawn

    put(library, torch.ops.aten._local_scalar_dense.default, _local_scalar_dense)


def _real_scalar() -> Callable[[torch.Tensor], Any]:
    """PyTorch's own ``_local_scalar_dense`` for CUDA, or what does the same before torch 2.9."""
    if _HAS_KERNELS:
        return real_kernel(torch.ops.aten._local_scalar_dense.default, "CUDA")
    return lambda tensor: torch.ops.aten._local_scalar_dense(tensor.detach().to("cpu"))


def _read_large_numbers() -> None:
    """Before torch 2.9 no operator of Python hands on a number above 2**63: it is read from a copy."""
    item = torch.Tensor.item

    def wrapper(self: torch.Tensor) -> Any:
        return item(self.cpu() if self.is_cuda and self.dtype == torch.uint64 else self)

    wrapper.__name__, wrapper.__qualname__, wrapper.__doc__ = "item", "Tensor.item", item.__doc__
    torch.Tensor.item = wrapper  # type: ignore[method-assign, assignment]


def _wrap(name: str, after: Callable[[torch.Tensor, Any], Any]) -> None:
    method = getattr(torch.Tensor, name)

    def wrapper(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        # A subclass (fake, quantized, distributed) has its own idea of where its values are.
        return after(self, result) if result is not self and type(self) in _PLAIN else result

    wrapper.__name__, wrapper.__qualname__, wrapper.__doc__ = name, f"Tensor.{name}", method.__doc__
    setattr(torch.Tensor, name, wrapper)


def _after_copy(tensor: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
    """Write what the policy says into what came back from the card."""
    if not tensor.is_cuda or copy.device.type != "cpu" or copy.layout != torch.strided or _stands(tensor):
        return copy
    if copy.nbytes <= _FILL_LIMIT_BYTES:
        copy.data.fill_(_one(copy.dtype))  # `.data`: no version of the copy changes for autograd
    return copy


def _after_list(tensor: torch.Tensor, values: Any) -> Any:
    if not tensor.is_cuda or not tensor.numel() or _stands(tensor):
        return values
    return _same_everywhere(tensor.shape, _one(tensor.dtype))


def _same_everywhere(shape: tuple[int, ...], value: Any) -> Any:
    return [_same_everywhere(shape[1:], value) for _ in range(shape[0])] if shape else value


def _one(dtype: torch.dtype) -> Any:
    if dtype == torch.bool:
        return False
    if dtype.is_complex:
        return 1 + 0j
    return 1.0 if dtype.is_floating_point else 1


def _stands(tensor: torch.Tensor, *, scalar: bool = False) -> bool:
    """Whether the tensor's values are there: otherwise they are made up, which is counted.

    Args:
        scalar: it was read as one number; else it was copied, of which ``to_host`` counts some.
    """
    try:
        start = tensor.untyped_storage().data_ptr() and tensor.data_ptr()
    except RuntimeError:  # fake, functional and wrapped tensors have no memory of their own
        return True
    if not start or not tensor.numel():
        return True
    known = card_memory.how_known(tensor)
    if known != card_memory.WRITTEN:
        counted = not scalar and _sizes is not None and tensor.dtype not in COUNTS
        _count(read_as_one=known == card_memory.UNKNOWN and tensor.nbytes in (4, 8) and not counted)
    return known != card_memory.UNKNOWN


def _count(read_as_one: bool) -> None:
    global _placeholders, _scalars, _first_place
    _placeholders += 1
    _scalars += read_as_one
    if _first_place is None:
        _first_place = script_place()
