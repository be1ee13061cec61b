"""The private names of PyTorch that nanocheck uses are listed, are there, and take what is passed to them."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from paths import ROOT

from nanocheck.core.private_torch import PRIVATE_NAMES, PrivateName

PACKAGE = ROOT / "nanocheck"
#: Attributes of objects, assigned to a class or overridden in ours: reading the source does not show whose.
ASSIGNED = {
    "torch.distributed.checkpoint.default_planner._validate_global_plan",
    "torch.distributed.distributed_c10d._new_process_group_helper",
    "torch.distributed.distributed_c10d._store_based_barrier",
    "torch.distributed.distributed_c10d._world",
    "torch._inductor.codecache.FxGraphCache._save_graph",
    "torch._inductor.codecache.FxGraphCache.find_guarded_entry",
    "torch._inductor.codecache.FxGraphCache.load_with_key",
    "torch._inductor.codecache.FxGraphCachePickler.dumps",
    "torch._inductor.codecache.PyCodeCache.linemaps",
    "torch._inductor.codecache.PyCodeCache.stack_frames_for_code",
    "torch._inductor.codecache.code_hash",
    "torch._inductor.runtime.triton_heuristics.CachingAutotuner._precompile_config",
    "torch.autograd.graph.Node._input_metadata",
    "torch.autograd.graph.Node._sequence_nr",
    "torch.distributed.optim.ZeroRedundancyOptimizer._partition_parameters",
}


def look_up(name: str) -> Any:
    """The object; the modules on the way are imported.

    Raises:
        AttributeError, ImportError: it is not there.
    """
    parts = name.split(".")
    found: Any = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], 2):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(".".join(parts[:index]))
    return found


@pytest.mark.parametrize("listed", PRIVATE_NAMES, ids=lambda listed: listed.name)
def test_it_is_there_and_takes_what_is_passed(listed: PrivateName) -> None:
    try:
        found = look_up(listed.name)
    except (AttributeError, ImportError) as error:
        pytest.fail(
            f"torch {torch.__version__} has no {listed.name}, which {', '.join(listed.files)} need for: "
            f"{listed.purpose} ({error})"
        )
    if listed.parameters:
        taken = inspect.signature(found).parameters
        missing = [name for name in listed.parameters if name not in taken]
        assert not missing, f"{listed.name} of torch {torch.__version__} takes {list(taken)}, not {missing}"


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def dotted(node: ast.expr, known: dict[str, str]) -> str | None:
    """``torch._C._x`` of an expression, names of imports resolved."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in known:
        return None
    return ".".join([known[node.id], *reversed(parts)])


def used_in(path: Path) -> Iterator[str]:
    """Private names of torch that a file imports, reads or asks for by ``getattr``."""
    tree = ast.parse(path.read_text())
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                if each.name.split(".")[0] == "torch":
                    known[each.asname or "torch"] = each.name if each.asname else "torch"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            for each in node.names:
                known[each.asname or each.name] = f"{node.module}.{each.name}"
    yield from known.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield dotted(node, known) or ""
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
            owner, name = dotted(node.args[0], known), node.args[1]
            if owner is not None and isinstance(name, ast.Constant):
                yield f"{owner}.{name.value}"


def test_every_private_name_in_use_is_listed_with_its_files() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        names = {name for name in used_in(path) if is_private(name)}
        # torch._C alone says nothing; torch._C._x does.
        for name in names - {other.rpartition(".")[0] for other in names}:
            used[name].add(str(path.relative_to(PACKAGE)))
    listed = {each.name: set(each.files) for each in PRIVATE_NAMES if each.name not in ASSIGNED}
    assert used == listed


def test_the_list_is_read_and_not_trusted(tmp_path: Path) -> None:
    """What the search finds in a file that uses private names in every way there is."""
    path = tmp_path / "uses.py"
    path.write_text(
        "import torch\nimport torch._dynamo as dynamo\nfrom torch._inductor import config as c\n"
        "from torch.utils import _pytree\ntorch._C._x()\nc.threads = 1\ngetattr(torch.cpu, '_is_y', None)\n"
        "dynamo.reset()\ntorch.cuda.memory_stats()\n"
    )
    assert {name for name in used_in(path) if is_private(name)} == {
        "torch._dynamo",
        "torch._dynamo.reset",
        "torch._inductor.config",
        "torch._inductor.config.threads",
        "torch.utils._pytree",
        "torch._C",
        "torch._C._x",
        "torch.cpu._is_y",
    }
