"""The bounds of what clients send, from both sides of each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.kit.http import bounded as b


def takes(kind: Any, value: Any) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            b.Instant,
            ["2000-01-01T00:00:00Z", "2100-12-31T23:59:59.999+00:00", "2026-05-01 09:00:00+08:00"],
            [
                "1999-12-31T23:59:59Z", "2101-01-01T00:00:00Z", "2000-01-01T00:00:00+08:00",
                "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
                "2026-05-01T09:00:00", "2026-05-01", 1777597200, "1777597200", 1e400, None,
            ],
        ),
        (
            b.Date,
            ["2000-01-01", "2100-12-31"],
            ["1999-12-31", "2101-01-01", "0001-01-01", "2026-02-30", "2026-05-01T00:00:00", 20_000, "1777597200"],
        ),
        (b.Pieces, [1, 1_000_000], [0, -1, 1_000_001, 10**30, True, "1", 1.0, 1.5, None]),
        (b.Grams, [1, 100_000_000], [0, 100_000_001]),
        (b.PriceFen, [0, 100_000_000], [-1, 100_000_001, 10**18]),
        (b.AmountFen, [0, 10**12], [-1, 10**12 + 1]),
        (b.Int32, [-(2**31), 2**31 - 1], [-(2**31) - 1, 2**31, False]),
        (b.Int64, [-(2**63), 2**63 - 1], [-(2**63) - 1, 2**63]),
        (b.Seq, [1, 2**53 - 1], [0, 2**53]),
        (b.Latitude, [-90, 90, 28.2], [90.01, 112.99, -91, 1e308, float("nan"), float("inf"), "NaN", "28", True]),
        (b.Longitude, [-180, 180.0], [180.01, -181, float("-inf"), "Infinity", False]),
        (b.LocalTime, ["00:00", "19:59", "23:59"], ["24:00", "99:99", "12:60", "9:00", "12:00:00", "12:00\n", ""]),
        (
            b.Name,
            ["x", "李 姐", "\u3000李\u3000姐", "👨\u200d👩\u200d👧", "x" * 64],
            [
                "", " ", "\u3000", "\u200b", "\u200b \ufeff", "\u3164", "\t", "a\nb", "a\u2028b", "a\x07b", "\x00",
                "\ud800", "x" * 65, "x" * 250_000, 5,
            ],
        ),
        (b.OptionalName, ["", "x"], [" ", "\u200b", "\n", "x" * 65]),
    ],
)  # fmt: skip
def test_bounds(kind: Any, good: list[Any], bad: list[Any]):
    assert [value for value in good if not takes(kind, value)] == []
    assert [value for value in bad if takes(kind, value)] == []


@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False) | st.text() | st.integers() | st.floats())
def test_an_instant_that_is_taken_can_be_calculated_with(value: Any):
    given_text = value.isoformat() if isinstance(value, datetime) else value
    if takes(b.Instant, given_text):
        moment = TypeAdapter(b.Instant).validate_python(given_text)
        assert b.EARLIEST <= moment < b.LATEST
        assert moment.timestamp() > 0
