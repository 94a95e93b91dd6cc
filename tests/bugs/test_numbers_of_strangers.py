"""A hit with Infinity for a number ended in a traceback; others that are none were believed."""

import json

import pytest

from p2pswarm.errors import FormatError
from p2pswarm.overlay.tokens import from_fields

HIT = {"name": "a", "size": 1, "network": "napster"}


@pytest.mark.parametrize("name", ["size", "seeds", "age"])
@pytest.mark.parametrize(
    "number", ["Infinity", "-Infinity", "NaN", "-1", "1e400", "true", '"5"', "[]", "1" + "0" * 400]
)
def test_what_is_no_number_is_no_hit(name: str, number: str) -> None:
    fields = json.loads(f'{{"{name}": {number}}}')
    with pytest.raises(FormatError, match=r"not a hit: .* where a number belongs"):
        from_fields(HIT | fields)


@pytest.mark.parametrize("port", ["Infinity", "-1", "1.5", '"5"'])
@pytest.mark.parametrize("name", ["host", "peer"])
def test_nor_is_what_has_no_port(name: str, port: str) -> None:
    with pytest.raises(FormatError, match=r"not a hit: .* where a number belongs"):
        from_fields(HIT | json.loads(f'{{"{name}": ["1.2.3.4", {port}]}}'))


def test_a_whole_age_is_one() -> None:
    assert from_fields(HIT | {"seeds": 0, "age": 5}).age == 5.0
