"""A result and its verdict, as a notebook shows it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import msgspec

from nanocheck.core.result import RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.core.verdict import JudgedRun, Verdict, classify

if TYPE_CHECKING:
    from nanocheck.report.run_file import RunFile

_HEIGHT_PX = 900


class Answer(RunResult, frozen=True, kw_only=True):
    """A ``RunResult`` and what it means; sizes are bytes.

    Attributes:
        margin_bytes: what had to stay free for a verdict of safe.
        verdict: its ``kind`` (``safe``, ``tight``, ``oom``, ...), ``sentence`` and ``headroom_bytes``.
        step_time: how long an optimizer step would take on the card, *modelled*: its ``seconds``, their
            ``interval`` and what decides; from the kernels in ``main.kernels``. ``None`` unless ``time=True``
            was asked for and a step could be recorded on the virtual GPU.
    """

    margin_bytes: int
    verdict: Verdict
    step_time: StepTime | None = None

    @classmethod
    def of(cls, result: RunResult, margin_bytes: int, step_time: StepTime | None = None) -> Answer:
        """The verdict with its result."""
        fields = {name: getattr(result, name) for name in RunResult.__struct_fields__}
        return cls(
            **fields,
            margin_bytes=margin_bytes,
            verdict=classify(result, margin_bytes),
            step_time=step_time,
        )

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
        kind = self.verdict.kind.upper()
        return f"{kind} on {self.device_name} ({self.provenance}): {self.verdict.sentence}"

    def to_html(self) -> str:
        """The page of ``nanocheck run --html``: whole, with its picture, and with nothing from elsewhere."""
        from nanocheck.report.html import render

        return render(self._file())

    def to_json(self) -> bytes:
        """The file of ``nanocheck run --json``."""
        return msgspec.json.encode(self._file())

    def _file(self) -> RunFile:
        from nanocheck.report.run_file import RunFile

        return RunFile.with_suggestions(self.judged, step_time=self.step_time)

    def _repr_html_(self) -> str:
        """In a notebook: the page, in a frame of its own."""
        page = html.escape(self.to_html(), quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {_HEIGHT_PX}px; border: 0"></iframe>'
