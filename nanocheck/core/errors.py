"""The errors nanocheck raises at people, and the exit codes they turn into.

Every message says what was expected, what was found, and (``hint``) which command or edit fixes it.

========  ==================================================================================
exit      meaning
========  ==================================================================================
0         everything asked for was done and is well
1         a check failed: a regression, out-of-memory, a loss, a moved training or peak, a difference, noise
2         the request was wrong: unknown GPU, malformed matrix, bad option
3         this machine cannot do it: CPU-only torch, no C compiler, ...
4         stored data is damaged: a corrupt baseline or journal
5         nanocheck run --check: it fits as far as it was seen; verify, calibrate: well as far as time was
6         nanocheck run --check, verify, drift: no answer about memory; calibrate: no figure that counts
124       nanocheck run: the command reached the time limit
130       interrupted
========  ==================================================================================

``nanocheck run`` otherwise gives the exit code of the command it ran; 0 when it stopped that itself because
the answer is known. Under ``--check`` the verdict decides.
"""

from __future__ import annotations

#: Exit code after Ctrl-C, as shells report it.
INTERRUPTED = 130


class NanocheckError(Exception):
    """Base of every error that nanocheck raises on purpose.

    Args:
        problem: what was expected and what was found, in one or two sentences.
        hint: the command or edit that fixes it; printed on a line of its own.
    """

    exit_code = 1

    def __init__(self, problem: str, *, hint: str | None = None) -> None:
        self.problem = problem
        self.hint = hint
        super().__init__(problem if hint is None else f"{problem}\n  hint: {hint}")


class RequestError(NanocheckError):
    """What the user asked for makes no sense: unknown GPU, malformed matrix, impossible model."""

    exit_code = 2


class MachineError(NanocheckError):
    """This machine lacks something: a CUDA build of torch, a C compiler, a writable cache."""

    exit_code = 3


class StoredDataError(NanocheckError):
    """A file that nanocheck stored earlier is damaged or of another schema."""

    exit_code = 4
