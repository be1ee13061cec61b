"""What travels between the driver, which holds the journal, and the stations, which run configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.process.jobs import Deadlines

#: A configuration whose station was lost so often was its end, as far as anybody can tell.
MOST_LOSSES = 3


@dataclass(frozen=True)
class Kind:
    """What a station must have: a ``real`` card of this name in the catalog, or only a processor."""

    kind: str
    gpu: str = ""

    @classmethod
    def of(cls, target: Target) -> Kind:
        return cls("real", target.gpu.id) if target.kind == "real" else cls(target.kind)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a station measures; the fields are those of ``Measurement``.

    Attributes:
        target: of the first configuration; others of its kind come with their own.
        variables: of the driver's environment, which can move a peak; a variable that a station has and the
            driver has not is unset there. See ``identity.variables``.
    """

    target: Target
    task: str
    preload: tuple[str, ...]
    deadlines: Deadlines | None = None
    launch_environment: tuple[tuple[str, str], ...] = ()
    steps: int | None = None
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Item:
    """One configuration to run; ``key``: its name in the journal."""

    key: str
    config: StepConfig
    target: Target
    record: bool = False


@dataclass(frozen=True)
class Report:
    """What a station found since it was last asked.

    Attributes:
        answers: key and result, as the JSON that a journal holds.
        running: id and stage of what runs there now.
    """

    answers: tuple[tuple[str, bytes], ...] = ()
    running: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Unfit:
    """The station cannot measure at all, and says why: no compiler, no such card, a card that others use."""

    why: str
    hint: str | None = None


@dataclass(frozen=True)
class Lost:
    """The station does not answer any more: its process died, or its machine is gone."""

    why: str


#: How an exchange ends.
Ending = Report | Unfit | Lost


class Post(Protocol):
    """A station as the driver sees it; hashable by identity.

    Attributes:
        name: for people; says nothing of the machine. kind: what it has.
        workers: configurations that run there at once.
    """

    name: str
    kind: Kind
    workers: int


AnyPost = TypeVar("AnyPost", bound=Post)


class Crew(Protocol[AnyPost]):
    """Stations, and how to reach them."""

    def offers(self, kind: Kind) -> None:
        """Look whether anybody has this kind, before anything waits for it.

        Raises:
            MachineError: nobody has; with what there is instead.
        """
        ...

    def engage(self, kind: Kind, setup: Setup) -> None:
        """Have stations of a kind, some when they are ready.

        Raises:
            MachineError: see ``offers``.
        """
        ...

    def complaint(self, kind: Kind) -> str | None:
        """Why no station of this kind is left, nor on its way; ``None``: there is one."""
        ...

    def ready(self) -> Sequence[AnyPost]:
        """The stations that can be given work."""
        ...

    def begin(self, post: AnyPost, items: Sequence[Item], patience: float) -> None:
        """Hand over new items, and ask what was found; the station answers within ``patience`` seconds, or
        as soon as one configuration has ended."""
        ...

    def ended(self, timeout: float | None) -> list[tuple[AnyPost, Ending]]:
        """Exchanges that have ended; waits at most so long for the first, or for a station to be ready."""
        ...

    def dismiss(self, post: AnyPost) -> None:
        """End a station, with all that it runs."""
        ...

    def close(self) -> None:
        """End all stations. Idempotent."""
        ...
