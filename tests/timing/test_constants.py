"""Each constant says what it is and where it is from."""

from __future__ import annotations

import pytest

from nanocheck.timing import constants
from nanocheck.timing.constants import parse

KNOWN = constants.load()


@pytest.mark.parametrize("name", list(KNOWN))
def test_it_has_meaning_source_and_a_sane_value(name: str) -> None:
    one = KNOWN.described[name]
    assert one.meaning
    assert one.source
    assert one.value > 0
    assert (
        one.rows > 0
        or "a judgement" in one.source
        or any(sign.isdigit() for sign in one.source)
        or "taken as" in one.source
    )


def test_few_judgements() -> None:
    judged = {name for name, one in KNOWN.described.items() if "a judgement" in one.source}
    assert judged == {"l2_share", "link"}


def test_a_constant_without_a_source_is_refused() -> None:
    with pytest.raises(TypeError):
        parse(b'[x]\nvalue = 1.0\nunit = ""\nmeaning = "m"\nrows = 1\n')


def test_a_generation_without_its_own_takes_the_nearest_before() -> None:
    two = parse(
        b"".join(
            f'["e {name}"]\nvalue = {value}\nunit = ""\nmeaning = "m"\nsource = "s"\nrows = 1\n'.encode()
            for name, value in (("8.0", 1.0), ("9.0", 2.0))
        )
    )
    assert [two.of("e", each) for each in ("7.5", "8.0", "8.9", "9.0", "12.0")] == [1, 1, 1, 2, 2]
