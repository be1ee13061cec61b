"""The command line: one module per verb, each with ``prepare_parser`` and ``run``.

Nothing heavy is imported before a verb runs, so that ``nanocheck --help`` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from nanocheck import __version__
from nanocheck.cli import (
    advise,
    calibrate,
    compare,
    diff,
    doctor,
    drift,
    export,
    frontier,
    gpus,
    merge,
    plan,
    record,
    report,
    run,
    site,
    streams,
    table,
    verify,
)
from nanocheck.core import errors
from nanocheck.core.scrub import disarm, scrub

VERBS = (
    run,
    plan,
    advise,
    frontier,
    table,
    site,
    drift,
    record,
    compare,
    diff,
    export,
    merge,
    doctor,
    gpus,
    report,
    verify,
    calibrate,
)
#: As shells report it: 128 and the number of the signal.
BROKEN_PIPE = 128 + 13


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="nanocheck",
        description="Will this GPT training configuration run on my GPU, and did this change break it? "
        "The suites themselves are pytest's: pytest suites/ --gpu rtx4070",
        epilog=_exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nanocheck {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", dest="verb")
    for module in VERBS:
        name = module.__name__.rpartition(".")[2]
        summary = (module.__doc__ or "").partition("\n")[0]
        verb = verbs.add_parser(name, help=summary, description=summary)
        module.prepare_parser(verb)
        verb.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb and returns the exit code; see ``nanocheck.core.errors`` for what they mean.

    Raises:
        SystemExit: argparse's: 2 for a command line that is wrong, 0 after ``--help`` and ``--version``.
    """
    streams.open_closed()
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.verb is None:
        parser.print_help(sys.stderr)
        return errors.RequestError.exit_code
    try:
        with streams.told_when_full():
            code = int(arguments.run(arguments))
            sys.stdout.flush()
        return code
    except errors.NanocheckError as error:
        _say(arguments.verb, error)
        return error.exit_code
    except KeyboardInterrupt:
        _say(arguments.verb, "interrupted")
        return errors.INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted; Python must not complain when it flushes at exit.
        streams.give_up(sys.stdout)
        return BROKEN_PIPE


def _say(verb: str, what: object) -> None:
    with contextlib.suppress(OSError):  # nobody reads it, and the exit code says it
        print(disarm(f"nanocheck {verb}: {scrub(what)}"), file=sys.stderr, flush=True)


def _exit_codes() -> str:
    """The table in the docstring of ``nanocheck.core.errors``, so that there is one such table."""
    rows = [line for line in (errors.__doc__ or "").splitlines() if line[:1].isdigit()]
    return "\n".join(["exit codes:", *(f"  {row}" for row in rows)])
