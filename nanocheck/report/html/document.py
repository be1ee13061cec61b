"""What every page begins with: one file that fetches nothing and runs nothing but its own few lines."""

from __future__ import annotations

from nanocheck.report.html.assets import source_hash
from nanocheck.report.html.markup import Markup, tag


def document(title: str, style: Markup, body: Markup, script: Markup | None = None) -> str:
    """The whole page, ending in a newline.

    Args:
        script: what ``body`` has in its script element, if it has one.
    """
    policy = f"default-src 'none'; style-src {source_hash(style)}"
    if script is not None:
        policy += f"; script-src {source_hash(script)}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", style),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"
