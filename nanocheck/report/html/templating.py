"""Pages from the templates in ``templates/``, where every value is scrubbed and escaped.

A page is a template that extends ``base.html``, and a call of ``render_page``. It fetches nothing and runs
nothing but its own few lines: its Content-Security-Policy names the hashes of its style and script.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Undefined
from markupsafe import Markup

from nanocheck.core.scrub import scrub
from nanocheck.core.units import gib
from nanocheck.report.html import format as filters
from nanocheck.report.html.assets import source_hash
from nanocheck.report.time_text import ms

TEMPLATES = Path(__file__).with_name("templates")
#: What templates write numbers and names with: ``{{ peak.allocated_bytes | size }}``.
_FILTERS = {
    "size": filters.size,
    "gib": gib,
    "mib": filters.mib,
    "share": filters.share,
    "shape": filters.shape,
    "moment": filters.moment,
    "number": filters.number,
    "number_or_dash": filters.number_or_dash,
    "plural": filters.plural,
    "shell": filters.shell,
    "part_of": filters.part_of,
    "percent": filters.percent,
    "ms": ms,
}


def render_page(template: str, *, title: str, style: str, script: str = "", **values: object) -> str:
    """The whole page, ending in a newline. The same values give the same bytes.

    Args:
        template: the name of a file in ``templates/`` that extends ``base.html``.
        style, script: CSS and JavaScript of ours, as they are.
        values: what the template names. HTML that is finished, such as a picture, has ``__html__``.

    Raises:
        jinja2.UndefinedError: the template names a value that is missing.
    """
    # Scrubbed here, so that the page has exactly the text that was hashed.
    style, script = scrub(style), scrub(script)
    policy = f"default-src 'none'; style-src {source_hash(style)}"
    if script:
        policy += f"; script-src {source_hash(script)}"
    page = (
        environment()
        .get_template(template)
        .render(**values, title=title, policy=policy, style=Markup(style), script=Markup(script))
    )
    return page.rstrip("\n") + "\n"


@cache
def environment() -> Environment:
    """Where all templates are rendered."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(_FILTERS)
    # What ``tojson`` makes can end no element: it writes ``<``, ``>``, ``&`` and ``'`` as escapes.
    found.policies["json.dumps_function"] = lambda value, **_: msgspec.json.encode(value).decode()
    return found


def _visible(value: object) -> object:
    """What stands for the value of every ``{{ expression }}``, before it is escaped.

    Finished HTML is scrubbed, too: ``{{ picture ~ name }}`` and ``{{ name | e }}`` are finished before they
    come here.
    """
    if isinstance(value, Undefined):
        return value  # raises when it is shown
    if hasattr(value, "__html__"):
        return Markup(scrub(value.__html__()))
    return scrub(value)
