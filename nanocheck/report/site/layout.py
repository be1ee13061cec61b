"""A page of the site: a template in ``templates/site/`` within the frame that all of them share."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.report.html.templating import environment
from nanocheck.report.site import words
from nanocheck.report.site.contents import Contents

#: No script, style or picture but the site's own; nothing else is fetched, framed or sent.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'"
)

#: In every page; a page that says so is ours.
GENERATOR = "nanocheck site"


@dataclass(frozen=True)
class Frame:
    """What every page shares.

    Attributes:
        links: further pages, words and address, as the navigation has them.
    """

    contents: Contents
    links: tuple[tuple[str, str], ...] = ()


def render(template: str, *, frame: Frame, title: str, depth: int = 0, **values: object) -> str:
    """The whole page, ending in a newline. The same values give the same bytes.

    Args:
        depth: folders between the page and the site's own, for links that need no server.
        values: what the template names.
    """
    page = (
        environment()
        .get_template(template)
        .render(
            **values,
            title=title,
            policy=POLICY,
            generator=GENERATOR,
            up="../" * depth,
            links=frame.links,
            contents=frame.contents,
            table=frame.contents.table,
            words=words,
            # Templates that single pages share extend what they are told to.
            layout="site/base.html",
        )
    )
    return page.rstrip("\n") + "\n"
