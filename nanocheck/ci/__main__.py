"""``python -m nanocheck.ci STEP``: what action.yml, the reusable workflow and kit/gitlab.yml call.

``gate`` runs base and head and stores what came out; ``comment`` writes it on the pull request and never
fails; ``verdict`` says it as an exit code; ``merge`` makes one table of the results of several jobs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from nanocheck.ci import merging, outputs
from nanocheck.ci.comments import GitHub, GitLab, keep_one
from nanocheck.ci.http import ApiError
from nanocheck.ci.settings import GATE_FILE, PREFIX, Settings, results_folder
from nanocheck.ci.surroundings import Surroundings
from nanocheck.core.anonymous import portable
from nanocheck.core.errors import INTERRUPTED, NanocheckError
from nanocheck.core.files import read_typed, write_atomically
from nanocheck.core.gate import SCHEMA, Gate
from nanocheck.core.scrub import disarm, scrub
from nanocheck.report import gate_comment
from nanocheck.report.foreign_markdown import code
from nanocheck.report.workflow_commands import SUMMARY_LIMIT_BYTES, annotation

_HINT = "the step before it writes it: python -m nanocheck.ci gate"


def gate(environment: Mapping[str, str] = os.environ) -> int:
    """
    Raises:
        RequestError: what is asked for makes no sense.
        MachineError: a file cannot be written.
    """
    # Here, so that the other steps need no more than msgspec.
    from nanocheck.ci import formats
    from nanocheck.ci import gate as gates

    settings, around = Settings.of(environment), Surroundings.of(environment)
    found, head = gates.check(settings, around)
    problems = formats.write(found, head, settings)
    found = msgspec.structs.replace(found, notes=(*found.notes, *map(portable, problems)))
    text = msgspec.json.format(msgspec.json.encode(found), indent=1).decode()
    write_atomically(settings.results / GATE_FILE, text + "\n")
    page = _page(found, around, limit=SUMMARY_LIMIT_BYTES // 4)
    write_atomically(settings.results / "comment.md", _page(found, around))
    if not outputs.add_to_summary(page, environment) and environment.get("GITHUB_STEP_SUMMARY"):
        _say("the job summary has no room left: comment.md has it all")
    outputs.set_outputs(
        {
            "passed": str(not found.failed).lower(),
            "verdict": gate_comment.headline(found),
            "grown-bytes": found.grown_bytes,
            "key": found.key,
            "results": str(settings.results),
        },
        environment,
    )
    if environment.get("GITHUB_ACTIONS"):
        for line in outputs.source_annotations(found, found.folder):
            print(line)
    _say(gate_comment.headline(found))
    return 0


def comment(environment: Mapping[str, str] = os.environ) -> int:
    """Never fails: who cannot write a comment says so in the summary, which has the same text."""
    found, around = _stored(environment), Surroundings.of(environment)
    _say(_comment(found, around, environment))
    return 0


def _comment(found: Gate, around: Surroundings, environment: Mapping[str, str]) -> str:
    """What was done, or why nothing was."""
    token = environment.get(f"{PREFIX}TOKEN", "")
    author = environment.get(f"{PREFIX}COMMENT_AUTHOR", "")
    if around.number is None:
        return "no comment: this is no pull request"
    why = ""
    if around.fork:
        why = "it comes from a fork, which may not write here"
    elif not token:
        why = "no token was given"
    if not why:
        try:
            make: Callable[..., GitHub | GitLab] = GitHub if around.service == "github" else GitLab
            thread = make(around, token, author)
            return keep_one(thread, gate_comment.marker(found.key), _page(found, around))
        except ApiError as error:
            why = str(error)
    said = f"no comment was written ({why}): the result stands in this summary"
    outputs.add_to_summary(f"<sub>{code(said)}</sub>", environment)
    return said


def verdict(environment: Mapping[str, str] = os.environ) -> int:
    """1 where something fails that was asked to."""
    found = _stored(environment)
    for each in found.failed:
        _say(each)
    return 1 if found.failed else 0


def _stored(environment: Mapping[str, str]) -> Gate:
    path = results_folder(environment) / GATE_FILE
    return read_typed(path, Gate, what="a check of a change", schema=SCHEMA, hint=_HINT)


def _page(found: Gate, around: Surroundings, limit: int = gate_comment.LIMIT) -> str:
    link = gate_comment.source_link(around.server, around.path, found.head, found.folder)
    return gate_comment.render(found, link=link, limit=limit)


def _say(what: object) -> None:
    print(disarm(f"nanocheck: {scrub(what)}"), file=sys.stderr, flush=True)


def merge(environment: Mapping[str, str] = os.environ) -> int:
    """
    Raises:
        RequestError: no results are there.
        StoredDataError: one is damaged.
    """
    folder = results_folder(environment)
    page = merging.write(merging.merge(merging.load([folder])), folder)
    outputs.add_to_summary(f"### GPU memory, measured and virtual\n\n{page}", environment)
    _say(f"{page.count(chr(10)) - 2} answers")
    return 0


STEPS: Mapping[str, Callable[[], int]] = {
    "gate": gate,
    "comment": comment,
    "verdict": verdict,
    "merge": merge,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a step; exit codes as ``nanocheck.core.errors``."""
    parser = argparse.ArgumentParser(prog="python -m nanocheck.ci", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    for name in STEPS:
        steps.add_parser(name)
    arguments = parser.parse_args(argv)
    try:
        return STEPS[arguments.step]()
    except NanocheckError as error:
        _say(error)
        if os.environ.get("GITHUB_ACTIONS"):
            print(annotation("error", str(error), title="nanocheck"))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
