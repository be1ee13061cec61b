"""Claims in pytest: every ``nanocheck.claims.claim.Claim`` of a test module is a test, under the claim's id.

A test fails where the verdict is not the expected one, never because a claim is refuted. What the session
measures for other suites is not run again. Nothing else is imported before a module defines a claim.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nanocheck.core.errors import NanocheckError, StoredDataError
from nanocheck.core.scrub import disarm, scrub
from nanocheck.pytest_plugin.context import Context

if TYPE_CHECKING:
    from nanocheck.claims.check import FindGpu
    from nanocheck.claims.claim import Claim
    from nanocheck.claims.finding import Finding
    from nanocheck.measuring.several_devices import ClaimRunner
    from nanocheck.report.ledger import Found, Ledger

#: Under this name a finding travels with its test's report, and what a worker looked at in the end.
_CLAIMS = "claims"


class ClaimItem(pytest.Item):
    """One claim as a test."""

    def __init__(self, *, claim: Claim, suite: ClaimSuite, **options: Any) -> None:
        super().__init__(**options)
        self.claim, self.suite = claim, suite
        self.extra_keyword_matches.add(claim.function.__name__)

    def runtest(self) -> None:
        found = self.suite.find(self.claim)
        self.suite.context.attach(self, _CLAIMS, found)
        (finding,) = found.note.claims
        for name in ("verdict", "provenance", "sentence"):
            self.user_properties.append((name, getattr(finding, name)))
        self.user_properties.append(("claim", finding.id))
        if finding.as_expected is None:
            pytest.skip(f"{finding.id}: {finding.verdict} on {finding.card}; nothing is expected of it there")
        if not finding.as_expected:
            pytest.fail(disarm(scrub(_failure(finding, self.claim))), pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.claim.place.path, self.claim.place.line - 1, self.claim.id


class ClaimSuite:
    """One pytest process; joins the run through its context.

    Attributes:
        claims: those of the modules that were collected, by id, whether selected or not.
        found: what came out so far, by id.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.config = context.config
        self.claims: dict[str, Claim] = {}
        self.found: dict[str, Found] = {}
        self.selected: list[Claim] = []
        #: Ids of all claims and files that were looked at, here or by the workers of pytest-xdist.
        self._known: dict[str, None] = {}
        self._files: set[str] = set()
        self._runner: ClaimRunner | None = None
        context.receive(_CLAIMS, _found_type, self._keep)

    # -- collection ---------------------------------------------------------------------------------------

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.Module):
            self._files.add(_relative(collector.path, self.config))

    def pytest_pycollect_makeitem(self, collector: pytest.Collector, obj: object) -> Any:
        module = sys.modules.get("nanocheck.claims.claim")
        if module is None or not isinstance(obj, module.Claim):
            return None
        known = self.claims.setdefault(obj.id, obj)
        if known is not obj:
            raise pytest.Collector.CollectError(
                f"nanocheck: {obj.place}: expected an id of its own, found that of {known.place}\n"
                f"  hint: give one of the two another id"
            )
        if obj.id in self._known:  # the same object under another name, or imported by another module
            return []
        self._known[obj.id] = None
        try:
            obj.rehearse(self.gpu)
        except NanocheckError as error:
            raise pytest.Collector.CollectError(f"nanocheck: {error}") from error
        return ClaimItem.from_parent(collector, name=obj.id, claim=obj, suite=self)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.selected = [item.claim for item in session.items if isinstance(item, ClaimItem)]
        if self.selected:
            _ = self.context.selected_card

    @functools.cached_property
    def gpu(self) -> FindGpu:
        """Finds a card by its id, each once."""
        from nanocheck.core.gpus import find_gpu

        return functools.cache(functools.partial(find_gpu, extra=self.context.settings.card.gpus))

    # -- one test -----------------------------------------------------------------------------------------

    def find(self, claim: Claim) -> Found:
        """What comes out of one claim; the first one asked for runs what all selected claims need."""
        return self.context.answer(lambda: self._find(claim))

    def _find(self, claim: Claim) -> Found:
        from nanocheck.measuring.several_devices import ClaimRunner
        from nanocheck.report import ledger

        target, card = self.context.selected_card.target, self.context.settings.card
        if self._runner is None:
            self._runner = ClaimRunner(target, self.context.measuring, choice=card.device, gpus=card.gpus)
        # An xdist worker learns only piece by piece what it is to run.
        wanted = [claim] if self.context.is_worker else self.selected
        results = self._runner.run([request for each in wanted for request in each.requests])
        finding = claim.evaluate(results, self.gpu, target)
        return ledger.found(
            claim,
            finding,
            file=_relative(claim.place.path, self.config),
            environment=next((results[each].environment for each in claim.requests), None),
        )

    def _keep(self, found: Found) -> None:
        """A finding, from whichever process."""
        self.found[found.id] = found

    # -- the end ------------------------------------------------------------------------------------------

    def finish_worker(self) -> None:
        """Tells the controller of xdist's workers what was looked at here."""
        self.context.to_controller[_CLAIMS] = {"known": list(self._known), "files": sorted(self._files)}

    def finish(self) -> None:
        """Writes the ledger, before the report of the card is written."""
        for output in self.context.from_workers:
            seen = output.get(_CLAIMS, {"known": (), "files": ()})
            self._known.update(dict.fromkeys(seen["known"]))
            self._files.update(seen["files"])
        if not self.found:
            return
        self.context.guarded(self._write)

    @property
    def complete(self) -> bool:
        """Whether everything that was selected was answered."""
        return all(each.id in self.found for each in self.selected)

    def _write(self) -> None:
        from nanocheck.core.files import write_atomically
        from nanocheck.pytest_plugin.report_writer import report_name
        from nanocheck.report import ledger, ledger_markdown

        settings, device = self.context.settings, self.context.selected.target.device
        order = {name: place for place, name in enumerate(self._known)}
        found = sorted(self.found.values(), key=lambda each: order.get(each.id, len(order)))
        folders = " ".join(dict.fromkeys(str(Path(each.note.file).parent) for each in found))
        whole = ledger.ledger_of(
            found,
            device=device,
            command=settings.command.replace("suites/", folders, 1),
            date=datetime.date.today().isoformat(),
        )
        name = f"claims-{report_name(device)}.md"
        kept = settings.reports / name
        stored: Ledger | None = None
        with contextlib.suppress(StoredDataError):  # none yet, or damaged: this run writes it anew
            stored = ledger.load(kept.with_suffix(".json"))
        replaces = self._is_whole(stored)
        path = kept if replaces else settings.journal / "reports" / name
        remark = "" if replaces else " (a part of the ledger)"
        if replaces and stored is not None and kept.is_file() and ledger.says_the_same(stored, whole):
            whole, remark = stored, f" (of {stored.date}; nothing differs)"
        else:
            write_atomically(path, ledger_markdown.render(whole))
            write_atomically(path.with_suffix(".json"), ledger.dumps(whole))
        if replaces:
            self.context.add_section(ledger.section(whole, path.name))
        self.context.messages.append(f"{whole.count_summary}; ledger: {settings.relative(path)}{remark}")

    def _is_whole(self, stored: Ledger | None) -> bool:
        """Whether what was found may replace the stored ledger: every claim that was seen has its finding,
        and every file that the stored one is about was looked at, or is gone.
        """
        files = {note.file for note in stored.notes} if stored is not None else set()
        left_out = [file for file in files - self._files if (self.config.rootpath / file).exists()]
        return self._known.keys() <= self.found.keys() and not left_out


def _found_type() -> type[Found]:
    from nanocheck.report.ledger import Found

    return Found


def _relative(path: Path, config: pytest.Config) -> str:
    return str(path.relative_to(config.rootpath) if path.is_relative_to(config.rootpath) else path)


def _failure(finding: Finding, claim: Claim) -> str:
    figures = "".join(f"\n  {each.name} = {each.value}" for each in finding.figures)
    why = "" if finding.why in finding.sentence else f"\n{finding.why}"
    return (
        f"{finding.id}: expected the verdict {finding.expected}, found {finding.verdict}: {finding.sentence}"
        f"{why}{figures}\n  hint: look at what changed; if it is right, edit {claim.place}"
    )
