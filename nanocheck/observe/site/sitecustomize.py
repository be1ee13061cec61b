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


def _observer() -> None:
    """Make ``nanocheck.observe`` importable, whatever is installed here: it is the one that watches."""
    import importlib.util

    package = os.path.dirname(os.path.dirname(_HERE))  # noqa: PTH120
    init = os.path.join(package, "__init__.py")  # noqa: PTH118
    spec = importlib.util.spec_from_file_location("nanocheck", init, submodule_search_locations=[package])
    if spec is None or spec.loader is None:
        raise ImportError(f"no nanocheck in {package}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["nanocheck"] = module
    spec.loader.exec_module(module)


if os.environ.get("NANOCHECK_RUN"):
    try:
        _observer()
        from nanocheck.observe import bootstrap, relaunch
    except ImportError as error:
        print(f"nanocheck: this process is not observed: {error} ({sys.executable})", file=sys.stderr)
        _next_one()
    else:
        relaunch.where_another_torch_is()
        _next_one()
        bootstrap.activate()
else:
    _next_one()
