"""``c.fix`` and ``c.card("rtx4070")``: what gives a claim its figures, and says where each is from."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from typing import NoReturn

from nanocheck.claims.finding import COMPUTED, MODELLED, PUBLISHED
from nanocheck.claims.run_figures import (
    OF_CARD,
    OF_CONFIG,
    OF_STEP,
    REFUSAL,
    REFUSED,
    RUN_FIGURES,
    Value,
    of_run,
)
from nanocheck.claims.truth import Formula, Text, Truth
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import Gpu
from nanocheck.core.result import RunResult
from nanocheck.core.run_request import RefusedConfig, RunRequest
from nanocheck.core.units import mib

#: Makes a figure (name, value, provenance, how it is known) a row of the ledger.
AddRow = Callable[[str, Value, str, str], None]


class RunFigures:
    """The figures of a configuration that a claim declares: ``OF_CONFIG``, ``refused`` and ``refusal``, and
    those of its run, ``RUN_FIGURES``.

    Args:
        name: that the claim gives it.
        ran: whether it is declared as a run.
        result: what came out; None before it ran.
        find: a card by its id.
    """

    def __init__(
        self,
        name: str,
        request: RunRequest | RefusedConfig,
        add: AddRow,
        *,
        ran: bool,
        result: RunResult | None,
        find: Callable[[str], Gpu],
    ) -> None:
        self._name, self._request, self._add = name, request, add
        self._ran, self._result, self._find = ran, result, find

    def __getattr__(self, figure: str) -> Value:
        name, request = f"{self._name}.{figure}", self._request
        if figure in RUN_FIGURES and not self._ran:
            raise RequestError(
                f"{name}: expected a figure that is known without running, found one of a run",
                hint=f"declare {self._name} under runs= instead of configs=",
            )
        if figure not in (*OF_CONFIG, *RUN_FIGURES, REFUSED, REFUSAL):
            wrong_name(
                name, "a figure", figure, (*OF_CONFIG, *(RUN_FIGURES if self._ran else ()), REFUSED, REFUSAL)
            )
        if isinstance(request, RefusedConfig):
            value, how = _refused(name, figure, request.why)
            self._add(name, value, COMPUTED, how)
        elif figure in RUN_FIGURES:
            if figure in OF_STEP and not request.time:
                raise RequestError(
                    f"{name}: expected a run that is timed, found one that is not",
                    hint=f'write "time": True into the run {self._name}',
                )
            value = of_run(name, figure, self._result, self._find)
            ran_on = "virtual" if self._result is None else self._result.provenance.value
            provenance = MODELLED if figure in OF_STEP else ran_on
            self._add(name, value, provenance, self._what_ran(figure, request))
        else:
            value, meaning = _of_config(name, figure, request)
            self._add(name, value, COMPUTED, f"{meaning} of {request.config.id}")
        return value

    def _what_ran(self, figure: str, request: RunRequest) -> str:
        where = "" if self._result is None else f" on {self._result.device.name}"
        held = request.reserve_bytes
        where += f" with {mib(held)} MiB used by other processes" if held else ""
        steps = "" if request.steps is None else f", {request.steps} steps"
        return f"{RUN_FIGURES[figure].meaning} of {request.config.id}{where}{steps}"


class CardFigures:
    """The figures of a card of the catalog, ``OF_CARD``."""

    def __init__(self, name: str, gpu: Gpu, add: AddRow) -> None:
        self._name, self._gpu, self._add = name, gpu, add

    def __getattr__(self, figure: str) -> Value:
        name, gpu = f"{self._name}.{figure}", self._gpu
        if figure not in OF_CARD:
            wrong_name(name, "a figure of a card", figure, OF_CARD)
        known = OF_CARD[figure]
        value = known.value(name, gpu)
        self._add(name, value, PUBLISHED, f"{gpu.name}: {gpu.sources.get(known.catalog_name, 'catalog')}")
        return value


def wrong_name(where: str, what: str, found: str, known: Collection[str]) -> NoReturn:
    """
    Raises:
        RequestError: always; AttributeError for names that Python itself looks for.
    """
    if found.startswith("_"):
        raise AttributeError(found)
    close = difflib.get_close_matches(found, known, n=3)
    listed = ", ".join(close or known) or "none is declared"
    raise RequestError(
        f"{where}: expected {what}, found {found!r}", hint=f"{'write' if close else 'use'} one of {listed}"
    )


def _of_config(name: str, figure: str, request: RunRequest) -> tuple[Value, str]:
    if figure == REFUSED:
        return Truth(False, "", Formula(name)), "whether nanocheck refuses to build it,"
    if figure == REFUSAL:
        return Text(None, "nanocheck builds the configuration", Formula(name)), "why nanocheck refuses it,"
    return OF_CONFIG[figure].value(name, request.config), OF_CONFIG[figure].meaning


def _refused(name: str, figure: str, why: str) -> tuple[Value, str]:
    how = f"nanocheck refuses the configuration: {why}"
    if figure == REFUSED:
        return Truth(True, "", Formula(name)), how
    if figure == REFUSAL:
        return Text(why, "", Formula(name)), how
    unknown = OF_CONFIG[figure].unknown if figure in OF_CONFIG else RUN_FIGURES[figure].unknown
    return unknown(name, how), how
