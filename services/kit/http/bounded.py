"""Bounded types for request bodies: every string has a length, every number a range, every instant a year.

Numbers are strict: `true` and `"1"` are refused. OpenAPI shows each bound. In a query or a path everything is text,
so numbers there are a plain `int` with `ge` and `le`. Readers of events use the types of `contracts.values` instead.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, Strict
from pydantic_core import PydanticCustomError

from contracts import values

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2101, 1, 1, tzinfo=UTC)
"""The first instant that is too late."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_INVISIBLE = " \u115f\u1160\u2800\u3164\uffa0"  # the space, and fillers that Unicode counts as letters and symbols


def _written_instant(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and _INSTANT.match(value)):
        return value
    raise PydanticCustomError("instant", "must be a time like 2026-05-01T09:00:00+08:00")  # not a count of seconds


def _instant_in_range(moment: datetime) -> datetime:
    if EARLIEST <= moment < LATEST:
        return moment
    raise PydanticCustomError("instant_range", "must be a time in the years 2000 to 2100")


def _written_date(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise PydanticCustomError("date", "must be a date like 2026-05-01")


def _date_in_range(day: date) -> date:
    if 2000 <= day.year <= 2100:
        return day
    raise PydanticCustomError("date_range", "must be a date in the years 2000 to 2100")


def visible(text: str) -> str:
    """Return the text. Raises where it has a control character or a line break, or no visible character."""
    if text.isprintable() and text.strip(_INVISIBLE):  # nearly always; its only separators are then spaces
        return text
    kinds = {unicodedata.category(character) for character in text.strip(_INVISIBLE)}
    if kinds & {"Cc", "Cs", "Zl", "Zp"}:
        raise PydanticCustomError("text", "must be one line without control characters")
    if not any(kind[0] in "LNPS" for kind in kinds):
        raise PydanticCustomError("blank", "must have a visible character")
    return text


VISIBLE = AfterValidator(visible)
"""Makes a text type with `Field(max_length=...)`: one line with a visible character."""

Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written_instant, json_schema_input_type=AwareDatetime),
    AfterValidator(_instant_in_range),
    Field(
        description="RFC 3339 with offset, in the years 2000 to 2100",
        json_schema_extra={"formatMinimum": "2000-01-01T00:00:00Z", "formatExclusiveMaximum": "2101-01-01T00:00:00Z"},
    ),
]
Date = Annotated[
    date,
    BeforeValidator(_written_date, json_schema_input_type=date),
    AfterValidator(_date_in_range),
    Field(json_schema_extra={"formatMinimum": "2000-01-01", "formatMaximum": "2100-12-31"}),
]

Int32 = Annotated[int, Strict(), Field(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Strict(), Field(ge=-(2**63), le=2**63 - 1)]
Pieces = Annotated[int, Strict(), Field(gt=0, le=1_000_000, description="pieces")]
Grams = Annotated[int, Strict(), Field(gt=0, le=100_000_000, description="grams")]
PriceFen = Annotated[int, Strict(), Field(ge=0, le=100_000_000, description="fen per piece, or per 500 grams")]
"""The maximum times the most `Pieces` of a line and a hundred lines is 10^16: far within 64 bits."""
AmountFen = Annotated[int, Strict(), Field(ge=0, le=1_000_000_000_000, description="fen")]
Seq = Annotated[int, Strict(), Field(ge=1, le=2**53 - 1, description="counts from 1")]

Latitude = Annotated[values.Latitude, Strict()]
Longitude = Annotated[values.Longitude, Strict()]
LocalTime = values.LocalTime

Name = Annotated[str, Field(min_length=1, max_length=64), VISIBLE]
OptionalName = Annotated[str, Field(max_length=64), AfterValidator(lambda text: visible(text) if text else text)]
"""A name, or the empty text."""
