"""What to run: one configuration of the reference training step, and its stable name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nanocheck.core import rules
from nanocheck.core.architectures import given, usual
from nanocheck.core.errors import RequestError
from nanocheck.core.naming import configuration_id
from nanocheck.core.shapes import parameter_count
from nanocheck.core.step_fields import StepFields

#: Fields of schema 1, always written; later ones are written only where they differ from their defaults, so
#: that what was stored before they existed still is the same configuration.
_ALWAYS_WRITTEN = frozenset(
    (*rules.SIZES, "bias", "dtype", "compile", "optimizer", "allocator", "cycle", "seed"),
)


@dataclass(frozen=True, kw_only=True)
class StepConfig(StepFields):
    """One configuration of the reference GPT training step; its fields are those of ``StepFields``.

    Raises:
        RequestError: a field is of the wrong type or out of range, or fields do not go together.
    """

    def __post_init__(self) -> None:
        rules.check(self)

    @property
    def id(self) -> str:
        """Stable, unique name, such as ``gpt2-576-b16-a32-bf16-compile``; see ``naming``."""
        return configuration_id(self)

    @property
    def parameters(self) -> int:
        """Number of parameters, each counted once; adapters are not among them."""
        return parameter_count(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        values = asdict(self)
        return {
            name: value
            for name, value in values.items()
            if name in _ALWAYS_WRITTEN or value != usual(self.model, name)
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepConfig:
        """The configuration of plain data.

        Raises:
            RequestError: a field is unknown, of the wrong type or out of range.
        """
        unknown = sorted(set(data) - {field.name for field in fields(cls)})
        if unknown:
            known = ", ".join(field.name for field in fields(cls))
            raise RequestError(
                f"unknown field {', '.join(map(repr, unknown))} in a configuration",
                hint=f"use these fields: {known}",
            )
        return cls(**{**given(data), **data})
