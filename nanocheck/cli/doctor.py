"""Say what works on this machine, what is missing, and how to fix it.

Exit 0 when the virtual GPU works here, else 3.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from nanocheck.core.errors import MachineError, NanocheckError
from nanocheck.core.scrub import disarm, disarm_json, scrub

OK, WARNING, FAIL, SKIPPED = "ok", "warning", "fail", "skipped"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        name: of the check.
        status: ``ok``; ``warning``: a part of nanocheck does not work; ``fail``: the virtual GPU does not;
            ``skipped``: could not be tried, because of another check that fails.
        detail: what was found, or what was expected and found.
        hint: the command or edit that fixes it.
    """

    name: str
    status: str
    detail: str
    hint: str | None = None


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--python",
        metavar="PROGRAM",
        help="another environment's Python: what nanocheck run would do with a script of its",
    )


def run(arguments: argparse.Namespace) -> int:
    findings = []
    for finding in examine(_plan(arguments.python)):
        findings.append(finding)
        if not arguments.json:
            print(_line(finding), flush=True)
    failed = [finding.name for finding in findings if finding.status == FAIL]
    doubts = [finding.name for finding in findings if finding.status == WARNING]
    if arguments.json:
        plain = {"ok": not failed, "checks": [asdict(each) for each in findings]}
        print(disarm_json(json.dumps(plain, indent=1)))
    elif failed:
        print(f"\n{len(failed)} failed ({', '.join(failed)}): fix these first.")
    else:
        but = f", with {len(doubts)} warnings ({', '.join(doubts)})" if doubts else ""
        where, then = "on this machine", "pytest suites/ --gpu rtx4070"
        if arguments.python:
            where, then = "for that Python", f"nanocheck run -- {arguments.python} train.py"
        print(f"\nThe virtual GPU works {where}{but}. Next: {then}")
    return MachineError.exit_code if failed else 0


#: (name, check, names of the checks it cannot do without)
Plan = Sequence[tuple[str, Callable[[], str], tuple[str, ...]]]


def _plan(other: str | None) -> Plan:
    if other is not None:
        from nanocheck.cli.doctor_python import OtherPython

        return OtherPython(other).checks()
    from nanocheck.cli import doctor_checks
    from nanocheck.cli.doctor_baselines import baselines

    return [
        ("Python", doctor_checks.python, ()),
        ("system", doctor_checks.system, ()),
        ("packages", doctor_checks.packages, ()),
        ("PyTorch", doctor_checks.torch, ()),
        ("NVIDIA wheels", doctor_checks.headers, ("PyTorch",)),
        ("Triton", doctor_checks.triton, ()),
        ("cache", doctor_checks.cache, ("system",)),
        ("C compiler", doctor_checks.compiler, ()),
        ("Python.h", doctor_checks.python_headers, ()),
        ("C++ compiler", doctor_checks.cxx_compiler, ()),
        ("address space", doctor_checks.address_space, ("system",)),
        ("overcommit", doctor_checks.overcommit, ("system",)),
        ("memory", doctor_checks.memory, ("system",)),
        ("disk", doctor_checks.disk, ()),
        ("GPT-2 tokens", doctor_checks.tokens, ()),
        ("baselines", baselines, ("packages", "PyTorch")),
        ("real GPU", doctor_checks.real_gpu, ()),
        ("virtual GPU", doctor_checks.virtual_gpu, ("system", "NVIDIA wheels", "cache", "C compiler")),
        ("child on it", doctor_checks.trial, ("virtual GPU", "address space")),
    ]


def examine(plan: Plan) -> Iterator[Finding]:
    """Every finding, as soon as it is there; checks that build on a failed one are skipped."""
    broken: set[str] = set()
    for name, check, needs in plan:
        missing = [each for each in needs if each in broken]
        finding = (
            Finding(name=name, status=SKIPPED, detail=f"not tried, because of: {', '.join(missing)}")
            if missing
            else _finding(name, check)
        )
        if finding.status in (FAIL, SKIPPED):
            broken.add(name)
        yield finding


def _finding(name: str, check: Callable[[], str]) -> Finding:
    from nanocheck.cli.doctor_checks import PartialError

    try:
        return Finding(name=name, status=OK, detail=check())
    except PartialError as error:
        return Finding(name=name, status=WARNING, detail=error.problem, hint=error.hint)
    except NanocheckError as error:
        return Finding(name=name, status=FAIL, detail=error.problem, hint=error.hint)
    except ImportError as error:
        detail = f"cannot be checked: {error}"
        return Finding(name=name, status=FAIL, detail=detail, hint="fix the check `packages` first")


def _line(finding: Finding) -> str:
    """Plain on every terminal: doctor must answer where `rich` is what is missing."""
    first, *rest = scrub(finding.detail).splitlines() or [""]
    lines = [f"{finding.status:8} {finding.name:14} {first}", *(f"{'':24}{line}" for line in rest)]
    if finding.hint:
        lines.append(f"{'':24}hint: {scrub(finding.hint)}")
    return disarm("\n".join(lines))
