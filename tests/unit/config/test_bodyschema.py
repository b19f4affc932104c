"""No schema makes the bridge hang, or reach for what is elsewhere."""

import time

import pytest

from proxy.config.bodyschema import BadSchema, compile_schema


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)+$", "(.*a){20}$", "^([a-z]+)*$"])
def test_a_pattern_takes_time_in_proportion_to_the_text(pattern: str) -> None:
    """Where an engine backtracks, forty letters are more than a lifetime's work."""
    validator = compile_schema({"type": "string", "pattern": pattern})
    began_s = time.process_time()
    assert not validator.is_valid("a" * 50_000 + "!")
    assert time.process_time() - began_s < 2.0


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(?<!x)y"])
def test_a_pattern_that_cannot_is_refused(pattern: str) -> None:
    with pytest.raises(BadSchema, match="look-around and back-references"):
        compile_schema({"type": "string", "pattern": pattern})


def test_a_reference_to_elsewhere_is_not_followed() -> None:
    with pytest.raises(BadSchema):
        compile_schema({"$ref": "http://127.0.0.1:1/schema.json"})
