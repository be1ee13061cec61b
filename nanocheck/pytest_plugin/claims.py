"""The claims suite's part of the pytest plugin: a test that takes ``claim_finding`` runs once per claim.

What the session measures for other suites is not run again. Nothing here is imported before a test asks for
a claim, beside this module itself.
"""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from nanocheck.core.errors import NanocheckError

if TYPE_CHECKING:
    from nanocheck.claims.asking import Asking
    from nanocheck.claims.judging import Finding
    from nanocheck.claims.quantities import Claim, Ledger
    from nanocheck.pytest_plugin.plugin import _Plugin

FIXTURE = "ledger_claim"
_FINDING: pytest.StashKey[Any] = pytest.StashKey()


class ClaimSuite:
    """One pytest process; see ``plugin._Plugin``."""

    def __init__(self, config: pytest.Config, plugin: _Plugin) -> None:
        self.config = config
        self.plugin = plugin
        self.findings: dict[str, dict[str, Any]] = {}
        self.selected: list[str] = []
        self.messages: list[str] = []
        self._claims: dict[str, tuple[Ledger, Claim]] | None = None
        self._asking: Asking | None = None

    @property
    def claims(self) -> dict[str, tuple[Ledger, Claim]]:
        """Every claim by id.

        Raises:
            RequestError: a claim file is wrong.
        """
        if self._claims is None:
            from nanocheck.claims.files import load_ledgers

            settings = self.plugin.session.settings
            own = settings.claims
            files = sorted(own.glob("*.toml")) if own.is_dir() else [own] if own.suffix == ".toml" else []
            ledgers = load_ledgers(files, gpus=settings.card.gpus)
            self._claims = {claim.id: (ledger, claim) for ledger in ledgers for claim in ledger.claims}
        return self._claims

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if FIXTURE in metafunc.fixturenames:
            try:
                ids = list(self.claims)
            except NanocheckError as error:
                raise pytest.Collector.CollectError(f"nanocheck: {error}") from error
            metafunc.parametrize(FIXTURE, ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        found = [name for item in session.items if (name := _claim_of(item)) is not None]
        self.selected = list(dict.fromkeys(found))

    # -- one test -----------------------------------------------------------------------------------------

    def finding(self, request: pytest.FixtureRequest, name: str) -> Finding:
        """The finding on one claim; the first one asked for runs what all selected claims need."""
        finding: Finding = self.plugin.answer(lambda: self._find(name))
        from nanocheck.claims.data import finding_to_plain

        request.node.stash[_FINDING] = finding_to_plain(self.claims[name][0], finding)
        for key, value in (
            ("claim", name),
            ("verdict", finding.verdict),
            ("provenance", finding.provenance),
            ("sentence", finding.sentence),
        ):
            request.node.user_properties.append((key, value))
        return finding

    def _find(self, name: str) -> Finding:
        from nanocheck.claims.asking import Asking
        from nanocheck.claims.evaluation import needed
        from nanocheck.claims.judging import find

        session = self.plugin.session
        device = session.chosen.target
        if self._asking is None:
            self._asking = Asking(
                device,
                choice=session.settings.card.device,
                gpus=session.settings.card.gpus,
                workers=self.plugin.workers,
                own=self.plugin.measuring,
            )
        # An xdist worker is told only piece by piece what it is to run.
        asked_for = [name] if self.plugin.is_worker else self.selected
        records = self._asking.ask([each for one in asked_for for each in needed(self.claims[one][1])])
        ledger, claim = self.claims[name]
        return find(ledger, claim, records, device)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        report = yield
        finding = item.stash.get(_FINDING, None)
        if finding is not None:
            # As text: attributes of a report travel from an xdist worker to its controller.
            report.nanocheck_finding = json.dumps(finding)
            item.stash[_FINDING] = None
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = getattr(report, "nanocheck_finding", None)
        if text is not None and not self.plugin.is_worker:
            finding = json.loads(text)
            self.findings[finding["id"]] = finding

    # -- the end ------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self.findings or self.plugin.is_worker:
            return
        try:
            self._write()
        except NanocheckError as error:
            self.plugin.session.problems.append(str(error))
        # A journal is for runs that were interrupted. Where the memory suite ran too, it looks after it.
        if set(self.selected) <= set(self.findings) and not self.plugin.session.selected:
            finish = getattr(self.plugin.session.measuring, "finish", None)
            if finish is not None:
                finish()

    def _write(self) -> None:
        from nanocheck.claims import data, markdown
        from nanocheck.claims.section import section as claims_section
        from nanocheck.core.files import write_atomically
        from nanocheck.pytest_plugin.session import report_name

        session = self.plugin.session
        settings, device = session.settings, session.chosen.target
        order = list(self.claims)
        findings = sorted(self.findings.values(), key=lambda each: order.index(each["id"]))
        records = self._asking.records.values() if self._asking is not None else ()
        answer = data.to_plain(
            findings,
            device=device,
            command=settings.command.replace("suites/", "suites/claims", 1),
            date=datetime.date.today().isoformat(),
            environment=next((msgspec.to_builtins(record.environment) for record in records), None),
        )
        whole = set(order) <= set(self.findings)
        folder = settings.reports if whole else settings.journal / "reports"
        path = folder / f"claims-{report_name(device.device)}.md"
        write_atomically(path, markdown.render(answer))
        write_atomically(path.with_suffix(".json"), data.dumps(answer))
        part = "" if whole else " (a part of the ledger)"
        if whole:
            section = claims_section(answer, path.name)
            session.add_section(section)
        self.messages.append(f"{data.count_summary(answer)}; ledger: {settings.relative(path)}{part}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.messages:
            terminalreporter.section("nanocheck claims")
        for line in self.messages:
            terminalreporter.line(line)


def _claim_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(FIXTURE)
