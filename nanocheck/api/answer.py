"""A result and its verdict, as a notebook shows it."""

from __future__ import annotations

import html

import msgspec

from nanocheck.core.result import RunResult
from nanocheck.core.verdict import JudgedRun, Verdict, classify

_HEIGHT_PX = 900


class Answer(RunResult, frozen=True, kw_only=True):
    """A ``RunResult`` and what it means; sizes are bytes.

    Attributes:
        margin_bytes: what had to stay free for a verdict of safe.
        verdict: its ``kind`` (``safe``, ``tight``, ``oom``, ...), ``sentence`` and ``headroom_bytes``.
    """

    margin_bytes: int
    verdict: Verdict

    @classmethod
    def of(cls, result: RunResult, margin_bytes: int) -> Answer:
        """The verdict with its result."""
        fields = {name: getattr(result, name) for name in RunResult.__struct_fields__}
        return cls(**fields, margin_bytes=margin_bytes, verdict=classify(result, margin_bytes))

    @property
    def judged(self) -> JudgedRun:
        """What the reports of ``nanocheck.report`` take."""
        fields = {name: getattr(self, name) for name in RunResult.__struct_fields__}
        return JudgedRun(result=RunResult(**fields), margin_bytes=self.margin_bytes, verdict=self.verdict)

    @property
    def fits(self) -> bool:
        """Whether it runs on the card, as far as it was seen: safe, tight or partial."""
        return self.verdict.fits

    def __str__(self) -> str:
        return (
            f"{self.verdict.kind.upper()} on {self.device.name} ({self.provenance}): {self.verdict.sentence}"
        )

    def to_html(self) -> str:
        """The page of ``nanocheck run --html``: whole, with its picture, and with nothing from elsewhere."""
        from nanocheck.report.html import render

        return render(self.judged)

    def to_json(self) -> bytes:
        """The file of ``nanocheck run --json``."""
        from nanocheck.report.run_file import RunFile

        return msgspec.json.encode(RunFile.with_suggestions(self.judged))

    def _repr_html_(self) -> str:
        """In a notebook: the page, in a frame of its own."""
        page = html.escape(self.to_html(), quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {_HEIGHT_PX}px; border: 0"></iframe>'
