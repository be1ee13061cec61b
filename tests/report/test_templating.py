"""Pages from templates: no value gets out of its place, and the policy allows exactly what is in the page."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markupsafe import Markup

from nanocheck.core.scrub import scrub
from nanocheck.report.html.assets import asset
from nanocheck.report.html.templating import TEMPLATES, environment, render_page

HOSTILE = st.text(
    alphabet=st.one_of(st.sampled_from("<>&\"'`/!-=\0\n\t\r\x1b\u202e\u2028\udc80]{}%"), st.characters()),
    max_size=40,
)
#: Ways in which a template may show a value.
WAYS = [
    "{{ value }}",
    "{{ value | e }}",
    "{{ value | string }}",
    "{{ [value] | join(', ') }}",
    "{{ value ~ finished }}",
    "{% set kept %}{{ value }}{% endset %}{{ kept }}",
    "{% macro of(it) %}{{ it }}{% endmacro %}{{ of(value) }}",
    "{% filter trim %}{{ value }}{% endfilter %}",
    "{% for each in [value] %}{{ each }}{% endfor %}",
]


def shown(template: str, value: object) -> str:
    return environment().from_string(template).render(value=value, finished=Markup("<i>&lt;</i>"))


@example("<script>alert(1)</script>", "{{ value }}")
@example("\u202e'\"><img onerror=x>", "{{ value | e }}")
@example("\u202e", "{{ value ~ finished }}")
@given(HOSTILE, st.sampled_from(WAYS))
def test_no_value_gets_out_of_its_place(value: str, way: str) -> None:
    found = shown(f'<p title="{way}">', value)
    found.encode("utf-8")
    assert all(each.isprintable() or each == "\n" for each in found)
    inside = found.removeprefix('<p title="').removesuffix('">').removesuffix("<i>&lt;</i>")
    assert not set(inside) & set("<>\"'")
    assert html.unescape(inside).strip() == scrub(value).strip()


@given(HOSTILE)
def test_scrubbing_leaves_what_can_be_seen_and_does_not_need_doing_twice(value: str) -> None:
    once = scrub(value)
    assert scrub(once) == once
    expected = "".join(
        each if each.isprintable() or each == "\n" else " " if each.isspace() else "\ufffd"
        for each in value.replace("\t", "    ").replace("\r\n", "\n")
    )
    assert once == expected


@given(value=HOSTILE)
def test_text_is_read_back_as_it_was_but_for_what_cannot_be_seen(value: str) -> None:
    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

        def handle_data(self, data: str) -> None:
            words.append(data)

    tags: list[tuple[str, dict[str, str | None]]] = []
    words: list[str] = []
    reader = Reader(convert_charrefs=True)
    reader.feed(shown('<p title="{{ value }}">{{ value }}</p>', value))
    reader.close()
    assert tags == [("p", {"title": scrub(value)})]
    assert "".join(words) == scrub(value)


def test_finished_html_stays_as_it_is_and_text_is_escaped_once() -> None:
    assert shown("{{ value }}", Markup("<b>a&lt;b</b>")) == "<b>a&lt;b</b>"
    assert shown("{{ value }}", 3) == "3"
    assert shown("{% macro of(it) %}<b>{{ it }}</b>{% endmacro %}{{ of(of(value)) }}", "a<b&amp;") == (
        "<b><b>a&lt;b&amp;amp;</b></b>"
    )


def test_a_value_that_is_missing_is_an_error() -> None:
    for template in ("{{ nobody }}", "{{ value.nobody }}", "{% if nobody %}{% endif %}"):
        with pytest.raises(UndefinedError):
            shown(template, "x")


@pytest.mark.parametrize("name", [path.name for path in TEMPLATES.glob("*.html")])
def test_a_template_of_ours_switches_nothing_off_and_fetches_nothing(name: str) -> None:
    source = (TEMPLATES / name).read_text()
    assert not re.search(r"\|\s*safe|autoescape|Markup", source)
    assert not re.search(r"\s(on\w+|src|style)=|<(link|img|iframe|object|form|base)\b|https?:", source)


@pytest.mark.parametrize("name", [path.name for path in TEMPLATES.glob("site/*.html")])
def test_a_template_of_the_site_fetches_only_files_beside_it(name: str) -> None:
    source = (TEMPLATES / "site" / name).read_text()
    assert not re.search(r"\|\s*safe|autoescape|Markup", source)
    assert not re.search(r"\s(on\w+|style)=|<(img|iframe|object|base)\b|https?:", source)
    for fetched in re.findall(r"<(?:link|script|form)\b[^>]*\s(?:href|src|action)=\"([^\"]*)\"", source):
        assert re.fullmatch(r"data:,|\{\{ up \}\}site\.(css|js)", fetched), fetched


def page(style: str, script: str = "") -> str:
    return render_page("base.html", title="<T>", style=style, script=script)


@pytest.mark.parametrize("script", ["", "alert('a\tb<c') // \u202e"])
@pytest.mark.parametrize("style", ["p { color: red }", 'a::before { content: "\t\\201c\u202e" }', None])
def test_the_policy_names_exactly_what_the_page_has(style: str | None, script: str) -> None:
    found = page(asset("style.css") if style is None else style, script)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', found)
    assert policy is not None
    hashes = {}
    for element in ("style", "script"):
        for text in re.findall(f"<{element}>(.*?)</{element}>", found, re.DOTALL):
            hashes[element] = f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    expected = [f"{element}-src {value}" for element, value in hashes.items()]
    assert html.unescape(policy[1]) == "; ".join(["default-src 'none'", *expected])
    assert ("script" in hashes) == bool(script)
    assert found.endswith("</html>\n")
    assert "<title>&lt;T&gt;</title>" in found
    assert found == page(asset("style.css") if style is None else style, script)
