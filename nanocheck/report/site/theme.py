"""The site's one style sheet: that of the single pages, with themes that a reader can choose.

The pages of ``nanocheck run`` follow the system. Here a choice is kept, so the rules of the dark theme stand
for the system's wish and for the reader's; both are written once, in ``html/style.css``.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from nanocheck.report.html.assets import asset

_ROOT = re.compile(r":root \{\n(?P<rules>.*?)\n\s*\}\n", re.DOTALL)
_DARK = re.compile(r"@media screen and \(prefers-color-scheme: dark\) \{\n.*?\n\}\n", re.DOTALL)


@cache
def style() -> str:
    """``site.css``."""
    source = asset("style.css")
    dark = _DARK.search(source)
    if dark is None:
        raise ValueError("style.css has no dark theme")
    rest = source.replace(dark.group(), "")
    rules = _rules(dark.group())
    chosen = (
        "@media screen and (prefers-color-scheme: dark) {\n"
        f':root:not([data-theme="light"]) {{\n{rules}\n}}\n}}\n'
        f'@media screen {{\n:root[data-theme="dark"] {{\ncolor-scheme: dark;\n{rules}\n}}\n}}\n'
        ':root[data-theme="light"] { color-scheme: light; }\n'
    )
    own = Path(__file__).with_name("site.css").read_text(encoding="utf-8")
    return rest + chosen + asset("claims.css") + own


def colours(*, dark: bool) -> dict[str, str]:
    """Name -> ``#rrggbb`` of one theme."""
    source = asset("style.css")
    found = _declared(_rules(source))
    night = _DARK.search(source)
    return found | (_declared(_rules(night.group())) if dark and night else {})


def _rules(source: str) -> str:
    found = _ROOT.search(source)
    if found is None:
        raise ValueError("style.css has no :root")
    return found["rules"]


def _declared(rules: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", rules))
