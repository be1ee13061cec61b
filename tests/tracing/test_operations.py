"""Recorded operations are those of PyTorch's own counter, and of the closed forms, to the last one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from client_runs import environment_of

import nanocheck
from nanocheck.core.architectures import given
from nanocheck.core.kernels import KernelKind, KernelList
from nanocheck.tracing.kernel_list import kernel_lists
from nanocheck.tracing.record import StepRecord, recorded

HELPER = Path(__file__).parents[1] / "helpers" / "recorded_steps.py"
_SMALL = {"n_layer": 2, "batch": 2, "block_size": 256}
_GPT2 = {**_SMALL, "n_head": 4, "n_embd": 256, "vocab_size": 1024}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": _GPT2,
    "gpt2 with biases": {**_GPT2, "bias": True},
    "gpt2 in fp32": {**_GPT2, "dtype": "fp32"},
    "gpt2 in tf32": {**_GPT2, "dtype": "tf32"},
    "gpt2 in fp16": {**_GPT2, "dtype": "fp16"},
    "gpt2, foreach": {**_GPT2, "optimizer": "adamw-foreach"},
    "gpt2, checkpointing": {**_GPT2, "checkpointing": "block"},
    "gpt2, chunked loss": {**_GPT2, "loss": "chunked"},
    "gpt2, long rows of indices": {**_GPT2, "batch": 8, "block_size": 512},
    "nanochat-2025": {**given({"model": "nanochat-2025", "n_layer": 2}), "model": "nanochat-2025", **_SMALL},
    "nanochat-2026": {**given({"model": "nanochat-2026", "n_layer": 2}), "model": "nanochat-2026", **_SMALL},
    "autoresearch": {**given({"model": "autoresearch", "n_layer": 2}), "model": "autoresearch", **_SMALL},
}
COMPILED = {"gpt2": {**_GPT2, "compile": "default"}}


def _run(configs: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    ran = subprocess.run(
        [sys.executable, str(HELPER), str(folder)],
        input=json.dumps(configs),
        env={**environment_of("rtx4090"), "TORCH_WARM_POOL": "0"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    counted: list[dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    return counted


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[KernelList, StepRecord, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("recorded")
    counted = _run(list(CONFIGS.values()), folder)
    found = {}
    for number, (name, seen) in enumerate(zip(CONFIGS, counted, strict=True)):
        (kernels,) = kernel_lists(folder / str(number))
        ((record, _),) = recorded(folder / str(number))
        found[name] = kernels, record, seen
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_operations_equal_those_of_pytorchs_counter(name: str, runs: Any) -> None:
    kernels, _, seen = runs[name]
    flops = seen["operations"]
    products = sum(kernel.operations for kernel, _ in kernels if kernel.kind is KernelKind.PRODUCT)
    # The counter leaves no half of causal attention out.
    looked = sum(
        kernel.operations * (2 if kernel.attention.causal else 1)
        for kernel, _ in kernels
        if kernel.attention is not None
    )
    counted = sum(count for operator, count in flops.items() if "attention" in operator)
    assert (products, looked) == (sum(flops.values()) - counted, counted)
    assert products > 0


@pytest.mark.parametrize("name", ["gpt2", "gpt2 with biases", "gpt2 in tf32", "gpt2, foreach"])
def test_operations_equal_the_closed_form(name: str, runs: Any) -> None:
    """6 for each parameter that is multiplied and each token; 7 T C for causal attention, both ways."""
    kernels, _, _ = runs[name]
    width, layers = _GPT2["n_embd"], _GPT2["n_layer"]
    tokens = _GPT2["batch"] * _GPT2["block_size"]
    multiplied = layers * 12 * width * width + _GPT2["vocab_size"] * width
    attention = 7 * layers * tokens * _GPT2["block_size"] * width
    by_kind = dict.fromkeys(KernelKind, 0.0)
    for kernel, times in kernels:
        by_kind[kernel.kind] += kernel.operations * times
    assert by_kind[KernelKind.PRODUCT] == 6 * multiplied * tokens
    assert by_kind[KernelKind.ATTENTION] == attention


@pytest.mark.parametrize("name", CONFIGS)
def test_launches_are_those_that_the_virtual_card_counts(name: str, runs: Any) -> None:
    kernels, record, _ = runs[name]
    _agree(kernels, record)


def _agree(kernels: KernelList, record: StepRecord) -> None:
    """Within 5 percent; copies are no launches for the card, and generated kernels never reach it."""
    launches = sum(
        kernel.launches * times
        for kernel, times in kernels
        if kernel.kind not in (KernelKind.TRITON, KernelKind.TRANSFER)
    )
    assert launches == pytest.approx(record.counters["launches"], rel=0.05)
    products = [kernel for kernel, _ in kernels if kernel.kind is KernelKind.PRODUCT]
    # A batch of outer products (k = 1) is a multiplication to PyTorch (bmm_out_cuda_impl in its Blas.cpp):
    # 10 of the 105 products of nanochat-2026, Muon's for the one gate of a single head.
    asked = [each for each in products if not (each.name == "bmm" and each.product and each.product.k == 1)]
    assert len(asked) == record.counters["matmul"]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_phase_has_its_kernels(name: str, runs: Any) -> None:
    kernels, _, _ = runs[name]
    operations = {"forward": 0.0, "backward": 0.0, "optimizer": 0.0}
    for kernel, times in kernels:
        operations[kernel.phase] += kernel.operations * times
    assert operations["backward"] >= 2 * operations["forward"] > 0


@pytest.mark.parametrize(("name", "dtype", "size"), [("gpt2", "bfloat16", 2), ("gpt2 in fp32", "float32", 4)])
def test_a_loss_moves_what_autocast_leaves_it(name: str, dtype: str, size: int, runs: Any) -> None:
    """``cross_entropy`` asks for its input's type by name, which autocast respects: bf16 there, and only what
    is picked from it in fp32. The table of logits is read and written once; backward two are read."""
    kernels, _, _ = runs[name]
    table = _GPT2["batch"] * _GPT2["block_size"] * _GPT2["vocab_size"] * size
    found = {each.name: (each.dtype, each.read, each.written) for each, _ in kernels}
    assert found["_log_softmax"] == (dtype, table, table)
    assert found["_log_softmax_backward_data"] == (dtype, 2 * table, table)
    assert found["nll_loss_forward"][0] == "float32"


@pytest.mark.parametrize("name", CONFIGS)
def test_types_are_those_that_the_operators_were_given(name: str, runs: Any) -> None:
    """By a dispatch mode around a later step."""
    kernels, _, seen = runs[name]
    found: dict[str, set[str]] = {}
    for each, _ in kernels:
        if each.kind in (KernelKind.SOFTMAX, KernelKind.NORM):
            found.setdefault(each.name, set()).add(each.dtype)
    assert found
    assert found == {operator: set(seen["types"][operator]) for operator in found}


@pytest.mark.slow
def test_compiled_steps_compute_the_same(tmp_path: Path, runs: Any) -> None:
    _run(list(COMPILED.values()), tmp_path)
    for number, name in enumerate(COMPILED):
        (kernels,) = kernel_lists(tmp_path / str(number))
        ((record, _),) = recorded(tmp_path / str(number))
        eager = runs[name][0]
        assert (kernels.compiled, eager.compiled) == (True, False)
        assert sum(each.operations for each, _ in kernels) == sum(each.operations for each, _ in eager)
        assert sum(each.kind is KernelKind.TRITON for each, _ in kernels) == len(record.generated) > 0
        _agree(kernels, record)


def test_a_product_that_copies_an_operand_first_is_there(tmp_path: Path) -> None:
    """The gradient of a sum has no strides, and no library multiplies that."""
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "model = torch.nn.Linear(256, 512, bias=False).cuda()\n"
        "optimizer = torch.optim.SGD(model.parameters(), 1e-3)\n"
        "for _ in range(40):\n"
        "    model(torch.randn(64, 256, device='cuda')).sum().backward()\n"
        "    optimizer.step()\n"
        "    optimizer.zero_grad()\n"
    )
    kernels = nanocheck.run([sys.executable, str(script)], gpu="rtx4070", time=True).main.kernels
    assert kernels is not None
    found = [kernel for kernel, _ in kernels if kernel.kind is KernelKind.PRODUCT]
    assert [kernel.operations for kernel in found] == [2 * 64 * 256 * 512] * 2
    assert sorted(kernel.phase for kernel in found) == ["backward", "forward"]
