"""Files of measured figures by name, one line each: a change of one is a line of a diff. No torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from nanocheck.core.baselines import refuse_update_in_ci
from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import dump_rows, read_json, write_atomically
from nanocheck.numerics.tiers import SEEDS

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Store(Generic[T]):
    """One kind of file.

    Attributes:
        words: what it holds, for errors. key: where they stand in it. hint: the command that makes it anew.
        provenance, k: said in the file, for people.
        read: raises KeyError, TypeError or ValueError for what is none. write: its opposite.
    """

    schema: int
    words: str
    key: str
    hint: str
    provenance: str
    k: float
    read: Callable[[Mapping[str, Any]], T]
    write: Callable[[T], Mapping[str, Any]]

    def load(self, path: Path) -> dict[str, T]:
        """Name -> its figures; nothing where there is no file.

        Raises:
            StoredDataError: damaged, or of another schema.
        """
        if not path.exists():
            return {}
        data, _ = read_json(path, hint=self.hint)
        try:
            if data["schema"] != self.schema:
                raise StoredDataError(
                    f"{path}: expected {self.words} of schema {self.schema}, found {data['schema']!r}",
                    hint=self.hint,
                )
            return {str(name): self.read(each) for name, each in data[self.key].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoredDataError(f"{path}: malformed {self.words}: {error!r}", hint=self.hint) from error

    def save(self, path: Path, figures: Mapping[str, T]) -> None:
        """Write the file in one piece, its names sorted.

        Raises:
            RequestError: this is CI, which judges and never writes.
        """
        refuse_update_in_ci()
        head = {"schema": self.schema, "provenance": self.provenance, "seeds": list(SEEDS), "k": self.k}
        rows = {name: json.dumps(self.write(each)) for name, each in sorted(figures.items())}
        write_atomically(path, dump_rows(head, self.key, rows))
