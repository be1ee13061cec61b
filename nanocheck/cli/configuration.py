"""``--set FIELD=VALUE``: one configuration of one's own, as several verbs take it."""

from __future__ import annotations

from dataclasses import fields

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError


def configuration(settings: list[str]) -> StepConfig:
    """The configuration of ``FIELD=VALUE``s.

    Raises:
        RequestError: an unknown field, or a value of another type.
    """
    types = {field.name: str(field.type) for field in fields(StepConfig)}
    data: dict[str, object] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        kind = types.get(name, "str")
        try:
            if kind == "int":
                data[name] = int(value)
            elif kind == "bool":
                data[name] = {"true": True, "false": False}[value]
            else:
                data[name] = value
        except (ValueError, KeyError) as error:
            raise RequestError(
                f"--set {setting}: expected {kind}, found {value!r}",
                hint=f"such as --set {name}=" + _EXAMPLE[kind],
            ) from error
    return StepConfig.from_dict(data)


_EXAMPLE = {"int": "8", "bool": "true"}
