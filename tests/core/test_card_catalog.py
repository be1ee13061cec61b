"""The GPU catalog: its figures agree with each other, and a wrong file is refused with its place named."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocheck.core.card_tables import CAPABILITY_FIGURES, FIGURES, SPECIFICATION
from nanocheck.core.cuda_context import context_range
from nanocheck.core.device import Target
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import find_gpu, load_catalog
from nanocheck.core.units import GIB, KIB, MIB
from nanocheck.virtual.card import card_text

CATALOG = load_catalog()
REQUIRED = (
    "rtx4070 rtx4070-laptop rtx4070-super rtx4070-ti rtx4070-ti-super rtx4060-ti-16gb rtx4080 rtx4090 "
    "rtx3060 rtx3090 rtx5070 rtx5090 t4 l4 a10g a100-40gb a100-80gb l40s rtxpro6000 h100"
)
COMPLETE: dict[str, Any] = {
    "name": "NVIDIA Example 1",
    "capability": "8.9",
    "sms": 10,
    "l2_mib": 24,
    "bus_width_bits": 128,
    "bandwidth_gb_s": 256.0,
    "boost_mhz": 2000,
    "memory_mhz": 8000,
    "tgp_w": 100,
    "bf16_tflops": "none",
    "nominal_mib": 8192,
    "linux_usable_mib": 7800,
    "context_mib": 400,
    "sources": {
        "specification": "data sheet",
        "bf16_tflops": "data sheet",
        "nominal_mib": "nvidia-smi",
        "linux_usable_mib": "torch",
        "context_mib": "torch",
    },
}


def write(folder: Path, tables: dict[str, Any], kind: str = "gpu", name: str = "mine.toml") -> Path:
    """A catalog file of these tables; JSON scalars are TOML scalars."""
    lines = []
    for card_id, table in tables.items():
        header = f"{kind}.{json.dumps(card_id)}"
        lines += [f"[{header}]"] + [
            f"{key} = {json.dumps(value)}" for key, value in table.items() if key != "sources"
        ]
        if "sources" in table:
            lines += [f"[{header}.sources]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in table["sources"].items()]
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def message(extra: Path) -> str:
    with pytest.raises(RequestError) as caught:
        load_catalog([extra])
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return str(caught.value)


def test_required_cards_and_the_default() -> None:
    assert set(REQUIRED.split()) <= set(CATALOG)
    gpu = find_gpu("rtx4070")
    assert gpu.name == "NVIDIA GeForce RTX 4070"
    assert gpu.usable_bytes["linux"] == 11874 * MIB
    assert f"{gpu.usable_bytes['windows'] / GIB:.2f}" == "11.99"
    assert gpu.nominal_bytes == 12282 * MIB


@pytest.mark.parametrize("card_id", list(CATALOG)[::9])
def test_ids_find_their_card_however_spelt(card_id: str) -> None:
    gpu = CATALOG[card_id]
    assert gpu.id == card_id
    spellings = (gpu.id.upper(), gpu.id.replace("-", "_"), gpu.id.replace("-", " ").title())
    assert all(find_gpu(each) == gpu for each in (*spellings, gpu.id.replace("rtx", "RTX ")))


def test_no_two_ids_are_one_when_spelt_otherwise() -> None:
    assert len({re.sub(r"[ _-]", "", each).lower() for each in CATALOG}) == len(CATALOG)


#: What processes that train on one GPU were seen to hold beside PyTorch, in MiB, each from a posted
#: out-of-memory message: most of those that the range was made from, so this shows what it leaves out.
READ = {
    "rtx4070": (229,),
    "rtx4090": (450, 461, 522, 565),
    "rtx5090": (591, 591, 592, 594),
    "rtx3090": (325,),
    "l4": (215, 251),
    "a100-80gb": (513, 522, 532, 705),
    "t4": (123, 141, 144, 151, 164, 205),
}


def test_the_context_of_a_card_follows_from_its_threads() -> None:
    catalog = load_catalog()
    known = [
        (catalog[name], value * MIB) for name, values in READ.items() if name in catalog for value in values
    ]
    inside = [
        context_range(gpu.sms, gpu.max_threads_per_sm)[0]
        <= value
        <= context_range(gpu.sms, gpu.max_threads_per_sm)[1]
        for gpu, value in known
    ]
    assert len(known) >= 15
    assert sum(inside) / len(known) > 0.8
    assert context_range(128, 1536) == (424 * MIB, 534 * MIB)


def test_a_reading_of_ones_own_stands_in_for_the_range() -> None:
    t4 = load_catalog()["t4"]
    assert t4.context_bytes == t4.context_most_bytes == 135 * MIB
    assert "computed" not in t4.sources["context_mib"]
    assert "computed" in load_catalog()["rtx4070"].sources["context_mib"]


#: Totals that posted out-of-memory messages show under Linux, in GiB, of two generations of drivers.
TOTALS = {"rtx3060": (11.63, 11.75), "rtx4090": (23.52, 23.64), "rtx3090": (23.56, 23.69)}


@pytest.mark.parametrize("card", TOTALS)
def test_what_drivers_leave_is_a_range_where_they_differ(card: str) -> None:
    gpu = CATALOG[card]
    least, most = gpu.usable_bytes["linux"], gpu.usable_most_bytes["linux"]
    assert all(least <= total * GIB <= most for total in TOTALS[card])
    assert 100 * MIB < most - least < 250 * MIB
    device = Target(kind="virtual", gpu=gpu).device
    assert (device.sure_capacity_bytes, device.capacity_bytes) == (least, most)
    assert device.available_bytes - device.surely_available_bytes == most - least + (
        gpu.context_most_bytes - gpu.context_bytes
    )


def test_one_reading_stays_one(tmp_path: Path) -> None:
    one = [gpu for gpu in CATALOG.values() if "linux_usable_most_mib" not in gpu.sources]
    assert len(one) > 10
    for gpu in one:
        assert gpu.usable_most_bytes["linux"] == gpu.usable_bytes["linux"]
        assert Target(kind="virtual", gpu=gpu).device.capacity_least_bytes is None
    # A reading of one's own card stands in for both ends.
    own = write(tmp_path, {"rtx4090": {"linux_usable_mib": 24090, "sources": {"linux_usable_mib": "mine"}}})
    gpu = find_gpu("rtx4090", [own])
    assert gpu.usable_most_bytes["linux"] == gpu.usable_bytes["linux"] == 24090 * MIB
    assert "linux_usable_most_mib" not in gpu.sources
    table = {"linux_usable_most_mib": 11000, "sources": {"linux_usable_most_mib": "mine"}}
    assert "linux_usable_most_mib: expected at least" in message(write(tmp_path, {"rtx4090": table}))


@pytest.mark.parametrize(("wrong", "meant"), [("rtx4071", "rtx4070"), ("4090", "rtx4090"), ("A100", "a10")])
def test_unknown_card_names_the_close_ones(wrong: str, meant: str) -> None:
    with pytest.raises(RequestError, match=meant) as caught:
        find_gpu(wrong)
    assert repr(wrong) in caught.value.problem
    assert "`nanocheck gpus`" in str(caught.value.hint)


def test_user_file_adds_a_card(tmp_path: Path) -> None:
    gpu = find_gpu("example-1", [write(tmp_path, {"Example 1": COMPLETE})])
    assert gpu.id == "example-1"
    assert gpu.usable_bytes == {"linux": 7800 * MIB}
    assert gpu.bf16_tflops is None
    assert gpu.max_blocks_per_sm == 24
    assert gpu.sources["tgp_w"] == "data sheet"
    assert set(load_catalog()) == set(CATALOG)


def test_user_file_overrides_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    table = {"linux_usable_mib": 11866, "sources": {"linux_usable_mib": "my own card"}}
    first = write(tmp_path, {"RTX_4070": table})
    gpu = find_gpu("rtx4070", [first])
    assert gpu.usable_bytes == {**CATALOG["rtx4070"].usable_bytes, "linux": 11866 * MIB}
    assert gpu.sources == {**CATALOG["rtx4070"].sources, "linux_usable_mib": "my own card"}
    assert gpu.sms == 46
    table["linux_usable_mib"] = 11800
    later = write(tmp_path, {"rtx4070": table}, name="later.toml")
    assert find_gpu("rtx4070", [first, later]).usable_bytes["linux"] == 11800 * MIB
    assert find_gpu("rtx4070").usable_bytes["linux"] == 11874 * MIB


def test_user_file_may_bring_a_capability(tmp_path: Path) -> None:
    figures = dict.fromkeys(CAPABILITY_FIGURES, 64) | {"source": "a guide"}
    capability = write(tmp_path, {"13.0": figures}, kind="capability", name="capability.toml")
    card = write(tmp_path, {"next": {**COMPLETE, "capability": "13.0"}})
    gpu = find_gpu("next", [card, capability])
    assert gpu.capability == (13, 0)
    assert gpu.shared_per_sm_bytes == 64 * KIB
    del figures["max_blocks_per_sm"]
    partial = write(tmp_path, {"13.0": figures}, kind="capability", name="capability.toml")
    text = message(partial)
    assert str(partial) in text
    assert '[capability."13.0"]: max_blocks_per_sm' in text


def test_override_without_a_source_of_its_own_is_refused(tmp_path: Path) -> None:
    extra = write(tmp_path, {"rtx4070": {"linux_usable_mib": 11866}})
    text = message(extra)
    assert str(extra) in text
    assert "[gpu.rtx4070.sources]: expected the source of linux_usable_mib" in text


WRONG = st.one_of(
    st.none(), st.booleans(), st.just(""), st.just([]), st.just(-1), st.just(0), st.just("lots")
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A complete card with one damage, and the key an error must name."""
    table = copy.deepcopy(COMPLETE)
    key = draw(st.sampled_from(sorted(set(FIGURES) & set(table))))
    damage = draw(st.sampled_from(["missing", "wrong", "no source", "blank source", "unknown", "misspelt"]))
    if damage == "missing":
        del table[key]
    elif damage == "wrong":
        value = draw(
            WRONG.filter(lambda value: value is not None and not (key == "name" and value == "lots"))
        )
        table[key] = value
    elif damage in {"no source", "blank source"}:
        named = "specification" if key in SPECIFICATION else key
        if damage == "no source":
            del table["sources"][named]
            key = SPECIFICATION[0] if named == "specification" else key
            return table, "the source of" if named == "specification" else key
        table["sources"][named] = "  "
        key = named
    elif damage == "unknown":
        key = draw(st.from_regex(r"[a-z]{3,12}", fullmatch=True).filter(lambda name: name not in table))
        table[key] = 1
    else:
        table[key + "s"] = table.pop(key)
        key += "s"
    return table, key


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_a_damaged_table_is_refused_with_file_table_and_key(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[dict[str, Any], str]
) -> None:
    table, key = case
    extra = write(tmp_path_factory.mktemp("user"), {"mine": table})
    text = message(extra)
    assert str(extra) in text
    assert "[gpu.mine" in text
    assert key in text


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_arbitrary_text_is_a_catalog_or_a_request_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    extra = tmp_path_factory.mktemp("user") / "mine.toml"
    extra.write_text(text, encoding="utf-8", errors="surrogatepass")
    problem = str(extra)
    try:
        load_catalog([extra])
    except RequestError as error:
        problem = error.problem
    assert str(extra) in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[gpu.mine\n", "line 1"),
        ("[gpus.mine]\n", "unknown key 'gpus'"),
        ("gpu = 3\n", "gpu: expected tables"),
        ("gpu.mine = 3\n", "mine: expected a table [gpu.mine]"),
        ("[gpu.'..']\n", "(its id)"),
        ("[gpu.a-b]\n[gpu.'A B']\n", "one table a card"),
        ("[gpu.mine]\nsources = 3\n", "sources: expected a table [gpu.mine.sources]"),
        ("[capability.new]\n", "(its name)"),
        ("[gpu.rtx4070]\nsms = inf\n", "sms: expected a whole number"),
        (f"[gpu.rtx4070]\nl2_mib = 1{'0' * 400}\n", "an integer beyond 64 bits"),
        (f"[gpu.rtx4070]\nl2_mib = 1{'0' * 5000}\n", "expected TOML"),
        ("[gpu.rtx4070]\nl2_mib = nan\n", "l2_mib: expected a number above 0"),
    ],
)
def test_malformed_files_say_where(tmp_path: Path, text: str, expected: str) -> None:
    extra = tmp_path / "mine.toml"
    extra.write_text(text, encoding="utf-8")
    found = message(extra)
    assert str(extra) in found
    assert expected in found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"linux_usable_mib": 9000}, "linux_usable_mib: expected at most nominal_mib = 8192, found 9000"),
        ({"context_mib": 7800}, "context_mib: expected less than the usable MiB"),
        ({"capability": "3.0"}, "capability: expected one of 7.0"),
    ],
)
def test_figures_that_contradict_each_other_are_refused(
    tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    extra = write(tmp_path, {"mine": {**COMPLETE, **change}})
    found = message(extra)
    assert f"{extra}: [gpu.mine]: {expected}" in found


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "ESC \x1b[31m", "right to left \u202e", "é" * 64, 7])
def test_a_name_is_one_line_that_the_virtual_gpu_can_say(tmp_path: Path, name: object) -> None:
    extra = write(tmp_path, {"mine": {**COMPLETE, "name": name}})
    assert f"{extra}: [gpu.mine]: name: expected one printable line" in message(extra)
    fits = write(tmp_path, {"mine": {**COMPLETE, "name": "é" * 63}})
    assert find_gpu("mine", [fits]).name == "é" * 63


def test_a_name_is_no_further_figure_of_the_virtual_card() -> None:
    """Wherever the card comes from."""
    gpu = replace(CATALOG["rtx4070"], name="x\ntotal_bytes=99\rsms=1\u2028l2_bytes=2")
    lines = card_text(Target(kind="virtual", gpu=gpu)).split("\n")
    plain = card_text(Target(kind="virtual", gpu=CATALOG["rtx4070"])).split("\n")
    assert lines[1:] == plain[1:]
    assert lines[0].startswith("name=x total_bytes=99")


def test_unreadable_files_are_request_errors(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path, tmp_path / "absent.toml", binary):
        assert str(path) in message(path)


def test_the_catalog_needs_no_torch() -> None:
    code = "import sys, nanocheck.core.gpus as g; g.load_catalog(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
