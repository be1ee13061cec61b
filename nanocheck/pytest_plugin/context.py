"""What the suites of one pytest process share: its settings, its device, who measures, and the report.

The memory suite, the claims and the suites that train join a run through this one object, and so does a suite
of somebody's own: the fixture ``nanocheck``, or ``context_of(config)``.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from nanocheck.core.errors import MachineError, NanocheckError
from nanocheck.core.scrub import disarm, scrub
from nanocheck.pytest_plugin.settings import Settings

if TYPE_CHECKING:
    from nanocheck.core.device_selection import SelectedDevice
    from nanocheck.fleet.ray_cluster import RayCluster
    from nanocheck.pytest_plugin.hooks import Measuring
    from nanocheck.report.section import Section

Value = TypeVar("Value")
#: Where a test keeps what it found until its report is made.
_FOUND = pytest.StashKey[list[tuple[str, str]]]()
_CONTEXT = pytest.StashKey["Context"]()


class Context:
    """One pytest process: the only one, an xdist worker, or the controller of xdist workers.

    Attributes:
        sections: what suites add to the report of the card, by title.
        messages: what the terminal shows in the end. problems: why writing in the end failed;
            machine_failed: for a reason that is this machine's, such as a full disk.
        to_controller: what an xdist worker tells its controller in the end, as plain data by suite.
        from_workers: what they told, on the controller.
    """

    def __init__(self, config: pytest.Config) -> None:
        config.stash[_CONTEXT] = self
        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        self.sections: dict[str, Section] = {}
        self.messages: list[str] = []
        self.problems: list[str] = []
        self.machine_failed = False
        self.to_controller: dict[str, Any] = {}
        self.from_workers: list[dict[str, Any]] = []
        self.opened: Measuring | None = None
        self._entered = contextlib.ExitStack()
        self._receivers: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}

    # -- settings and device ------------------------------------------------------------------------------

    @functools.cached_property
    def settings(self) -> Settings:
        """
        Raises:
            pytest.UsageError: an invalid option.
        """
        return self.usage(lambda: Settings.of(self.config))

    @functools.cached_property
    def selected(self) -> SelectedDevice:
        """The device that answers, and why.

        Raises:
            pytest.UsageError: an unknown card, or one that is not here.
        """
        from nanocheck.fleet.choose import select

        return self.usage(lambda: select(self.settings.card, self.cluster))

    @property
    def selected_card(self) -> SelectedDevice:
        """The same for a suite, whose configurations run on one card.

        Raises:
            pytest.UsageError: also of a machine with several cards.
        """
        from nanocheck.core.device_selection import one_card_expected

        if self.settings.card.machine:
            own = "a configuration's ranks are fields of its own (ranks, sharding)"
            raise pytest.UsageError(f"nanocheck: {one_card_expected(self.settings.card, own)}")
        return self.selected

    @functools.cached_property
    def cluster(self) -> RayCluster | None:
        """Where configurations run that do not run here; connected for the first that asks."""
        from nanocheck.fleet.choose import cluster_at

        return self._entered.enter_context(cluster_at(self.settings.ray, self.settings.workers))

    @property
    def workers(self) -> int:
        """Configurations at once in this process."""
        return 1 if self.is_worker else self.settings.workers

    def measuring(self) -> Measuring:
        """Who measures in this process; opened for the first test that needs it."""
        if self.opened is None:
            self.opened = self.config.hook.pytest_nanocheck_measuring(
                target=self.selected_card.target, settings=self.settings, workers=self.workers
            )
        assert self.opened is not None
        return self.opened

    # -- errors -------------------------------------------------------------------------------------------

    def usage(self, action: Callable[[], Value]) -> Value:
        """What ``action`` gives; its errors end the run before anything ran."""
        try:
            return action()
        except NanocheckError as error:
            raise pytest.UsageError(f"nanocheck: {error}") from error

    def answer(self, ask: Callable[[], Value]) -> Value:
        """What ``ask`` gives; its errors fail the test, or end the run where nothing can run here."""
        try:
            return ask()
        except MachineError as error:
            if not self.is_worker:
                pytest.exit(f"nanocheck: {error}", returncode=error.exit_code)
            problem = str(error)
        except NanocheckError as error:
            problem = str(error)
        # Outside of the handler: pytest would print the error and its causes once more.
        pytest.fail(disarm(scrub(f"nanocheck: {problem}")), pytrace=False)

    def guarded(self, action: Callable[[], None]) -> None:
        """Does something at the end of the run; its errors are reported, and fail the run."""
        try:
            action()
        except NanocheckError as error:
            self.problems.append(str(error))
            self.machine_failed |= isinstance(error, MachineError)

    # -- results ------------------------------------------------------------------------------------------

    def receive(self, name: str, kind: Callable[[], Any], keep: Callable[[Any], None]) -> None:
        """From now on ``keep`` gets every result that a test attached under this name, in whichever process.

        Args:
            kind: gives its type, once something has come.
        """
        self._receivers[name] = kind, keep

    def attach(self, item: pytest.Item, name: str, value: object) -> None:
        """A test's result, which travels with its report from an xdist worker to the controller."""
        item.stash.setdefault(_FOUND, []).append((name, msgspec.json.encode(value).decode()))

    def take_attached(self, item: pytest.Item) -> list[tuple[str, str]]:
        """What was attached since last time; as text, which is what reports can carry."""
        found = item.stash.get(_FOUND, [])
        item.stash[_FOUND] = []
        return found

    def deliver(self, found: list[tuple[str, str]]) -> None:
        """Hands what came with a report to those who keep it."""
        for name, text in found:
            kind, keep = self._receivers[name]
            keep(msgspec.json.decode(text, type=kind()))

    def add_section(self, section: Section) -> None:
        """What a suite has for the report of the card; its parts from several processes are joined."""
        known = self.sections.get(section.title)
        self.sections[section.title] = section if known is None else known.joined(section)

    def close(self) -> None:
        """Ends whatever still runs. Idempotent."""
        if self.opened is not None:
            self.opened.close()
        self._entered.close()


def context_of(config: pytest.Config) -> Context:
    """The context of a pytest run with the plugin."""
    return config.stash[_CONTEXT]
