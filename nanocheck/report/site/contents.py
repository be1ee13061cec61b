"""A table as the pages read it: models, ways, cells by setting and card, and the names of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import StoredDataError
from nanocheck.core.table import Cell, Setting, Table, TableCard
from nanocheck.core.units import GIB
from nanocheck.report import largest_words
from nanocheck.report.site import words
from nanocheck.report.site.links import slugs

_HINT = "make the table again: nanocheck table --json table.json"
#: What a model is, whatever it is trained with.
_MODEL = ("model", "n_layer", "n_head", "n_embd", "vocab_size", "bias", "window")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Way:
    """Settings that differ in their batch alone, the smallest first."""

    id: str
    config: StepConfig
    settings: tuple[Setting, ...]

    @property
    def words(self) -> str:
        return words.way(self.config)


@dataclass(frozen=True)
class Model:
    """One model and every way in which the table trains it."""

    name: str
    slug: str
    config: StepConfig
    parameters: int
    ways: tuple[Way, ...]

    @property
    def sizes(self) -> str:
        return words.sizes(self.config)


class Contents:
    """A table, checked once so that no page needs to.

    Raises:
        StoredDataError: a setting or a card stands there twice, or a cell is of none of them.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.settings: Mapping[str, Setting] = {each.id: each for each in table.settings}
        self.cards: Mapping[str, TableCard] = {each.gpu: each for each in table.cards}
        _once("setting", [each.id for each in table.settings])
        _once("card", [each.gpu for each in table.cards])
        _once("cell", [(each.setting, each.gpu) for each in table.cells])
        self._cells = {(each.setting, each.gpu): each for each in table.cells}
        for setting, gpu in self._cells:
            if setting not in self.settings or gpu not in self.cards:
                raise StoredDataError(
                    f"the table: expected a setting and a card of its own, "
                    f"found a cell of {setting!r:.80} on {gpu!r:.80}",
                    hint=_HINT,
                )
        self.largest_safe = table.largest_safe()
        self.largest = {} if table.largest is None else table.largest.batches()
        self.card_slugs = slugs(self.cards)
        self.anchors = slugs(self.settings)
        self.numbers = {each: place for place, each in enumerate(self.settings)}

    def cell(self, setting: str, gpu: str) -> Cell | None:
        """None: the table was stopped before it came there."""
        return self._cells.get((setting, gpu))

    @cached_property
    def searched(self) -> Mapping[tuple[str, str], str]:
        """(way, card) -> the largest safe batch that a search found, or in a word why none."""
        most = 0 if self.table.largest is None else self.table.largest.most
        return {key: largest_words.batch(each, most) for key, each in self.largest.items()}

    def remark(self, way: Way) -> str:
        """Behind the name of a way that was not searched where others were."""
        return largest_words.named(self.table, way.settings[0], "")

    @cached_property
    def card_names(self) -> Mapping[str, str]:
        """Card -> a name that no other card has: cards of one name differ in their memory, or in their id."""
        short = {each.gpu: each.name.removeprefix("NVIDIA ") for each in self.table.cards}
        gigabytes = {
            gpu: f"{name} {self.cards[gpu].nominal_bytes / GIB:.0f} GB" for gpu, name in short.items()
        }
        full = {gpu: f"{name} [{gpu}]" for gpu, name in short.items()}
        return _unlike(short, gigabytes, full)

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """In the order in which the table has them."""
        by_model: dict[tuple[object, ...], dict[str, list[Setting]]] = {}
        for setting in self.table.settings:
            key = tuple(getattr(setting.config, field) for field in _MODEL)
            by_model.setdefault(key, {}).setdefault(setting.way, []).append(setting)
        firsts = {key: next(iter(ways.values()))[0] for key, ways in by_model.items()}
        short = {key: words.model(each.config, each.parameters) for key, each in firsts.items()}
        long = {key: f"{name} ({words.sizes(firsts[key].config)})" for key, name in short.items()}
        names = _unlike(short, long)
        slug = slugs(names.values())
        return tuple(
            Model(
                name=names[key],
                slug=slug[names[key]],
                config=firsts[key].config,
                parameters=firsts[key].parameters,
                ways=tuple(_way(id, settings) for id, settings in ways.items()),
            )
            for key, ways in by_model.items()
        )

    @cached_property
    def model_of(self) -> Mapping[str, Model]:
        """Setting -> its model."""
        return {setting.id: model for model in self.models for way in model.ways for setting in way.settings}


def _way(id: str, settings: list[Setting]) -> Way:
    ordered = tuple(sorted(settings, key=lambda each: each.config.batch))
    return Way(id=id, config=replace(ordered[0].config, batch=1), settings=ordered)


def _unlike(*names: Mapping[Key, str]) -> dict[Key, str]:
    """For each key the first of its names that no other key has in the same mapping; else its last."""
    counts = [Counter(each.values()) for each in names]
    return {
        key: next(
            (each[key] for each, count in zip(names, counts, strict=True) if count[each[key]] == 1),
            names[-1][key],
        )
        for key in names[0]
    }


def _once(what: str, keys: Iterable[Hashable]) -> None:
    twice = [key for key, times in Counter(keys).items() if times > 1]
    if twice:
        raise StoredDataError(
            f"the table: expected each {what} once, found {twice[0]!r:.120} twice", hint=_HINT
        )
