"""Files of measured figures by name, one line each: a change of one is a line of a diff. No torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nanocheck.comparison import refuse_update_in_ci
from nanocheck.errors import StoredDataError
from nanocheck.learning.tiers import SEEDS
from nanocheck.stored import read_json, write_atomically

T = TypeVar("T")


def load_named(
    path: Path, *, schema: int, words: str, key: str, mend: str, read: Callable[[Mapping[str, Any]], T]
) -> dict[str, T]:
    """Name -> what ``read`` makes of its figures; nothing where there is no file.

    Args:
        words: what the file holds, for errors. key: where they stand. mend: the command that makes it anew.
        read: raises KeyError, TypeError or ValueError for what is none.

    Raises:
        StoredDataError: damaged, or of another schema.
    """
    if not path.exists():
        return {}
    data, _ = read_json(path, mend=mend)
    try:
        if data["schema"] != schema:
            raise StoredDataError(
                f"{path}: expected {words} of schema {schema}, found {data['schema']!r}", mend=mend
            )
        return {str(name): read(each) for name, each in data[key].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoredDataError(f"{path}: malformed {words}: {error!r}", mend=mend) from error


def save_named(
    path: Path, figures: Mapping[str, Mapping[str, Any]], *, schema: int, provenance: str, k: float, key: str
) -> None:
    """Write the file in one piece, its names sorted.

    Raises:
        RequestError: this is CI, which judges and never writes.
    """
    refuse_update_in_ci()
    head = {"schema": schema, "provenance": provenance, "seeds": list(SEEDS), "k": k}
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    body = ",\n".join(f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in sorted(figures.items()))
    write_atomically(path, "\n".join(["{", *lines, f' "{key}": {{', body, " }", "}", ""]))
