"""The site's controls in a real browser: keys, forms, and what a reader sees of the large table."""

from __future__ import annotations

import json
from typing import Any

import chromium

from nanocheck.report.site import cells


def key(browser: chromium.Chromium, name: str, code: int, text: str = "") -> None:
    """One key, pressed and let go, as the focused element gets it."""
    for kind in ("keyDown", "keyUp"):
        browser(
            "Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, text=text
        )


def shown(browser: chromium.Chromium, column: str) -> list[str]:
    """A column of the large table as the reader sees it now."""
    place = list(cells.COLUMNS).index(column)
    found: list[str] = browser.evaluate(
        f"[...document.querySelectorAll('#table tbody tr')].filter(r => r.checkVisibility())"
        f".map(r => r.cells[{place}].textContent.trim())"
    )
    return found


def choose(browser: chromium.Chromium, form: str, **values: str) -> None:
    for name, value in values.items():
        field = f"document.getElementById('{form}').elements[{json.dumps(name)}]"
        browser.evaluate(f"{field}.value = {json.dumps(value)}")
        browser.evaluate(f"{field}.dispatchEvent(new Event('input', {{bubbles: true}}))")


def ask(browser: chromium.Chromium, **values: str) -> Any:
    choose(browser, "question", **values)
    browser.evaluate("document.querySelector('#question [type=submit]').click()")
    return browser.evaluate(
        "[...document.querySelectorAll('#answer .answer')].map(e => "
        "[e.querySelector('b').textContent, e.textContent, "
        "e.querySelector('a')?.getAttribute('href') ?? null, e.querySelector('pre')?.textContent ?? null])"
    )
