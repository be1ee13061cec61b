"""Starts this process again with the virtual GPU of its own torch, before anything of the script has run.

A command may start any Python, of any environment, and each has a torch of its own; which one is known only
in the process. The virtual GPU is compiled for that torch by the nanocheck that was started, and must be
there before the first library is loaded: hence the second start, with the same process id, arguments and
open files.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from typing import Any

FOLDER = "NANOCHECK_RUN"
#: The Python of nanocheck; unset where the card is a real one.
TOOL = "NANOCHECK_RUN_PYTHON"
#: The folder of the torch whose virtual GPU is preloaded here.
TORCH = "NANOCHECK_RUN_TORCH"
#: Why there is none for it.
REASON = "NANOCHECK_RUN_REASON"
#: In ``CUDA_VISIBLE_DEVICES`` until the virtual GPU is there: CUDA finds no card by that name, so that
#: whatever runs without it, a program that is no Python for one, runs on no card at all.
NO_CARD = "the-virtual-one"
#: ``LD_PRELOAD`` as the command was given it.
PRELOAD = "NANOCHECK_RUN_PRELOAD"

#: How many steps go on by the card's clock; see ``card_clock.py``.
CLOCK = "NANOCHECK_RUN_CLOCK"
#: What ``NANOCHECK_RUN_TIME`` says where the card was chosen as a real one; see ``card_steps.py``.
ON_CARD = "card"

_SECONDS = 300  # compiling takes ten; on a busy machine longer


def where_another_torch_is() -> None:
    """Does not return where this process must be started again."""
    if not os.environ.get(TOOL):
        return
    folder = torch_folder()
    if folder is None or os.environ.get(TORCH) == folder:
        return
    arguments = _arguments()
    if arguments is None:
        os.environ[REASON] = f"{sys.executable or 'this program'} does not say how it was started"
        return
    found = _prepared(folder)
    environment = {name: value for name, value in os.environ.items() if name not in (REASON, "LD_PRELOAD")}
    if os.environ.get(PRELOAD):
        environment["LD_PRELOAD"] = os.environ[PRELOAD]
    environment[TORCH] = folder
    if "error" in found:
        environment[REASON] = f"{found['error']} ({sys.executable})"
        environment["CUDA_VISIBLE_DEVICES"] = NO_CARD
    else:
        environment.update(found["environment"])
        if os.environ.get("CUDA_VISIBLE_DEVICES") == NO_CARD:  # the script's own choice stays
            cards = int(os.environ.get("NANOCHECK_CARDS", "1"))
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(cards)))
    os.execve(sys.executable, arguments, environment)


def say_why_not() -> None:
    """A file ``unanswered-<pid>``: this process has imported a torch for which there is no virtual GPU."""
    path = os.path.join(os.environ[FOLDER], f"unanswered-{os.getpid()}")  # noqa: PTH118
    with contextlib.suppress(OSError), open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(os.environ[REASON])


def torch_folder() -> str | None:
    """Of the torch that this Python would import; it is not imported."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return os.path.realpath(next(iter(spec.submodule_search_locations)))


def _arguments() -> list[str] | None:
    """As this process was started; the program as Python knows it, by which it finds its environment."""
    original = getattr(sys, "orig_argv", None)  # Python 3.10
    if original is None:
        try:
            with open("/proc/self/cmdline", "rb") as file:  # noqa: PTH123
                original = [os.fsdecode(each) for each in file.read().split(b"\0")[:-1]]
        except OSError:
            return None
    return [sys.executable, *original[1:]] if sys.executable and original else None


def _prepared(folder: str) -> dict[str, Any]:
    """What the nanocheck that was started says of this torch; asked once a command."""
    import hashlib  # a Python that has no torch, or the right one, comes without these
    import json

    from nanocheck.observe.asking import ask

    question = {
        "torch": folder,
        "search_path": [each for each in sys.path if each],
        "environment": {
            name: os.environ[name]
            for name in ("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", PRELOAD)
            if name in os.environ
        },
        "card": os.environ["NANOCHECK_CARD"],
        "clock": os.environ.get(CLOCK, ""),
    }
    name = hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]
    answer = os.path.join(os.environ[FOLDER], f"prepared-{name}")  # noqa: PTH118
    try:
        with open(answer, encoding="utf-8") as file:  # noqa: PTH123
            return dict(json.load(file))
    except (OSError, ValueError):
        pass
    found = ask(os.environ[TOOL], "nanocheck.virtual.for_process", question, seconds=_SECONDS)
    temporary = f"{answer}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(found, file)
        os.replace(temporary, answer)  # noqa: PTH105
    except OSError:
        pass  # then the next process asks again
    return found
