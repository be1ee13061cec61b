"""Python imports this at start because ``nanocheck run`` put this folder first on PYTHONPATH."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - no import that the script has not


def _next_one() -> None:
    """The sitecustomize that this one hides."""
    import importlib.machinery
    import importlib.util

    path = [each for each in sys.path if os.path.abspath(each or ".") != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


_next_one()
if os.environ.get("NANOCHECK_RUN"):
    try:
        from nanocheck.observe import bootstrap
    except ImportError as error:
        print(f"nanocheck: this process is not observed: {error} ({sys.executable})", file=sys.stderr)
    else:
        bootstrap.activate()
