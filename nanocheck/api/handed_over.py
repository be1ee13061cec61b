"""A function for another process: by name where it can be imported there, else as cloudpickle writes it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pickle
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nanocheck.core.errors import RequestError

_CALL = f"from {__name__} import call; call()"


def hand_over(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], folder: Path
) -> list[str]:
    """The arguments of a Python that calls it.

    Args:
        folder: where what it needs is written.

    Raises:
        RequestError: it cannot be found or pickled.
    """
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise RequestError(
            f"expected a plain function, found {function!r:.100}, which only begins when it is called",
            hint="call asyncio.run, or go through the generator, in a function of its own",
        )
    file = folder / "call.pickle"
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    by_name = _reachable(function)
    try:
        if by_name and (function.__module__ != "__main__" or script):
            what: Any = (function.__module__, function.__qualname__, script)
            file.write_bytes(pickle.dumps((sys.path, what, pickle.dumps((args, kwargs)))))
        else:
            import cloudpickle

            file.write_bytes(pickle.dumps((sys.path, None, cloudpickle.dumps((function, args, kwargs)))))
    except ImportError as error:
        raise RequestError(
            f"expected a function that another process can import, found {function!r:.100}",
            hint="pip install cloudpickle, or define it in a module",
        ) from error
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise RequestError(f"expected arguments that can be pickled, found: {error}") from error
    return ["-c", _CALL, str(file)]


def _reachable(function: Any) -> bool:
    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for part in getattr(function, "__qualname__", "<none>").split("."):
        found = getattr(found, part, None)
    return found is function


def call() -> None:
    """In the other process: read what was written, and call it."""
    path, what, data = pickle.loads(Path(sys.argv[1]).read_bytes())
    sys.path[:] = path
    if what is None:
        function, args, kwargs = pickle.loads(data)
        function(*args, **kwargs)
        return
    module, name, script = what
    if module == "__main__":
        found: Any = runpy.run_path(script, run_name="__mp_main__")
        first, *rest = name.split(".")
        function = found[first]
        # Its classes are to be found when the arguments are read.
        vars(sys.modules["__main__"]).update(found)
    else:
        first, *rest = name.split(".")
        function = getattr(importlib.import_module(module), first)
    for part in rest:
        function = getattr(function, part)
    args, kwargs = pickle.loads(data)
    function(*args, **kwargs)
