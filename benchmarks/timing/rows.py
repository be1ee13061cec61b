"""The published rows with their roles, and the cards they were measured on."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

from nanocheck.core.gpus import load_catalog
from nanocheck.timing.card import Card

HERE = Path(__file__).parent
MIB = 2**20


@functools.cache
def cards() -> dict[str, Card]:
    """The catalog's, and those of ``cards.csv``."""
    found = {gpu.id: Card.of(gpu) for gpu in load_catalog().values()}
    for row in _read("cards.csv"):
        major, minor = row["capability"].split(".")
        found[row["id"]] = Card(
            id=row["id"],
            capability=(int(major), int(minor)),
            sms=int(row["sms"]),
            boost_mhz=float(row["boost_mhz"]),
            tensor_tflops=float(row["bf16_tflops"]),
            bandwidth_gb_s=float(row["bandwidth_gb_s"]),
            l2_bytes=float(row["l2_mib"]) * MIB,
            tgp_w=float(row["tgp_w"]),
            memory=row["memory"],
        )
    return found


def kernels(role: str) -> list[dict[str, str]]:
    """Rows of ``kernels.csv`` whose source and card have that role."""
    return [row for row in _read("kernels.csv") if _roles()[_table(row), row["source"], row["card"]] == role]


def steps(role: str) -> list[dict[str, str]]:
    """Rows of ``steps.csv`` whose source and card have that role."""
    return [row for row in _read("steps.csv") if _roles()["steps", row["source"], row["card"]] == role]


def calibrated_cards() -> set[str]:
    """Cards of which at least one row is in the fit."""
    return {row["card"] for row in _read("split.csv") if row["role"] == "calibrate"}


def excluded() -> list[dict[str, str]]:
    """What is left out, with the reason."""
    return [row for row in _read("split.csv") if row["role"] == "exclude"]


def _table(row: dict[str, str]) -> str:
    return "copies" if row["kind"] == "copy" else "kernels"


@functools.cache
def _roles() -> dict[tuple[str, str, str], str]:
    return {(row["table"], row["source"], row["card"]): row["role"] for row in _read("split.csv")}


@functools.cache
def _read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(newline="") as file:
        return list(csv.DictReader(file))
