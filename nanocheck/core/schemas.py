"""JSON Schemas of what is stored, from the types themselves."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec


def json_schema(kind: type[msgspec.Struct], title: str) -> dict[str, Any]:
    """The schema of a type, and of the types of its fields under ``$defs``."""
    (found,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for component in components.values():
        if "description" in component:  # a docstring, which Python 3.13 and later no longer indent
            component["description"] = inspect.cleandoc(component["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **found,
        "$defs": components,
    }
