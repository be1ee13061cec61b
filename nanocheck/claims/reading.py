"""Keys of a claim file's tables, read one by one, with errors that name file, table and key."""

from __future__ import annotations

import ast
import difflib
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from nanocheck.claims.amounts import Amount, AmountError, between
from nanocheck.claims.language import RESERVED, parse, parsed_unit
from nanocheck.claims.quantities import Formula, Given
from nanocheck.core.errors import RequestError

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def read_toml(path: Path) -> dict[str, Any]:
    """
    Raises:
        RequestError: there is no such file, or it is no TOML in UTF-8.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise RequestError(
            f"expected a claim file at {path}, found: {error.strerror or error}",
            hint="correct the path or its permissions",
        ) from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, UnicodeDecodeError, absurd numbers
        raise RequestError(f"{path}: not TOML: {error}", hint=f"fix the syntax in {path}") from error


class Table:
    """One table of a claim file.

    Args:
        where: file and table, such as ``mine.toml: [claim.X1]``.
    """

    def __init__(self, where: str, data: Any) -> None:
        self.where = where
        if not isinstance(data, dict):
            raise self.wrong("(itself)", "a table", data)
        self.data: Mapping[str, Any] = data

    def wrong(self, key: str, expected: str, found: Any) -> RequestError:
        shown = "nothing" if found is None else repr(found)[:120]
        return RequestError(
            f"{self.where}: {key}: expected {expected}, found {shown}",
            hint=f"write {key} as {expected}",
        )

    def problem(self, key: str, error: AmountError) -> RequestError:
        return RequestError(f"{self.where}: {key}: {error}", hint=f"fix {key} in {self.where}")

    def only(self, known: Collection[str]) -> None:
        """
        Raises:
            RequestError: there is another key.
        """
        for key in self.data:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                raise RequestError(
                    f"{self.where}: unknown key {key!r}",
                    hint=f"write {close[0]}" if close else f"use these keys: {', '.join(known)}",
                )

    def text(self, key: str, default: str | None = None) -> str:
        """The text of a key; it must be there unless there is a default."""
        found = self.data.get(key, default)
        if not isinstance(found, str) or (not found.strip() and key in self.data):
            raise self.wrong(key, "text that is not empty", found)
        return " ".join(found.split())

    def choice(self, key: str, allowed: Collection[str]) -> str:
        found = self.text(key)
        if found not in allowed:
            raise self.wrong(key, f"one of {', '.join(allowed)}", found)
        return found

    def tables(self, key: str) -> dict[str, Table]:
        """The named tables below a key, ``[key.name]``."""
        found = self.data.get(key, {})
        if not isinstance(found, dict):
            raise self.wrong(key, f"tables [{key}.name]", found)
        inside = f"{self.where[:-1]}." if self.where.endswith("]") else f"{self.where}: ["
        return {name: Table(f"{inside}{key}.{name}]", data) for name, data in found.items()}

    def unit(self) -> str | None:
        if "unit" not in self.data:
            return None
        unit = self.text("unit")
        try:
            parsed_unit(unit)
        except AmountError as error:
            raise self.problem("unit", error) from error
        return unit

    def given(self, provenance: str, source_key: str | None) -> Given:
        """``value`` (a number, a range ``[low, high]`` or a text), ``unit``, and where it is from."""
        self.only(("value", "unit", *((source_key,) if source_key else ())))
        source = self.text(source_key) if source_key else "the claim says so"
        unit, value = self.unit(), self.data.get("value")
        if isinstance(value, str) and unit is None:
            return Given(value=self.text("value"), unit=None, provenance=provenance, source=source)
        ends = value if isinstance(value, list) else [value, value]
        numbers = [each for each in ends if _is_number(each)]
        if len(ends) != 2 or len(numbers) != 2 or numbers[0] > numbers[1]:
            raise self.wrong("value", "a number or a range [low, high]", value)
        one = parsed_unit(unit)
        try:
            given = between(numbers[0], numbers[1])
            amount = Amount(given.low * one.low, given.high * one.low, one.dimension)
        except AmountError as error:
            raise self.wrong("value", "a number below 1e200", value) from error
        return Given(value=amount, unit=unit, provenance=provenance, source=source)

    def formula(self, key: str, *, unit: str | None = None) -> Formula | None:
        """The formula of a key, parsed but not looked up; None where the key is absent."""
        if key not in self.data:
            return None
        text = self.text(key)
        return Formula(text=text, tree=self.tree(key, text), unit=unit)

    def tree(self, key: str, text: str) -> ast.expr:
        try:
            return parse(text)
        except AmountError as error:
            raise self.problem(key, error) from error

    def check_name(self, name: str) -> None:
        """
        Raises:
            RequestError: no quantity can be called so.
        """
        if name in RESERVED:
            raise self.wrong("(its name)", "a name of your own, not that of a unit or a word", name)
        if not _NAME.fullmatch(name):
            raise self.wrong("(its name)", "small letters, digits and _", name)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
