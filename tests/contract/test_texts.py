"""No public event has a field for a client's own words: a string is an id, a code, the product's or an operator's."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from contracts.envelope import Event
from contracts.registry import MODELS
from contracts.texts import Text, strings_of, texts
from contracts.topics import BY_NAME
from contracts.values import CancelReason, Slug, UndeliveredReason, Words

PUBLIC = [model for model in MODELS.values() if not BY_NAME[model.TOPIC].private]
CATALOGUE = {"name_zh", "name_en", "label", "stall"}


@pytest.mark.parametrize("model", PUBLIC, ids=lambda model: model.TYPE)
def test_a_public_event_holds_no_free_text_of_a_client(model: type[Event]) -> None:
    found = strings_of(model)
    assert [path for path, text in found.items() if text is Text.ANY] == []
    theirs = {path for path, text in found.items() if text is Text.OPERATOR}
    assert theirs <= (CATALOGUE if model.TOPIC == "orders.catalog.v1" else set())


def test_the_private_record_is_the_one_that_carries_a_person() -> None:
    free = [model.TYPE for model in MODELS.values() if Text.ANY in strings_of(model).values()]
    assert free == ["market.orders.recipient-put.v1"]


class Inner(BaseModel):
    item: Slug
    note: str = ""


class Outer(BaseModel):
    lines: list[Inner] = []
    why: Words | None = None
    code: CancelReason
    names: dict[str, list[str]] = {}
    count: int = 0


def test_strings_are_found_at_every_depth() -> None:
    assert strings_of(Outer) == {
        "lines.item": Text.ID,
        "lines.note": Text.ANY,
        "why": Text.PRODUCT,
        "code": Text.CODE,
        "names.": Text.ANY,
    }
    value = {"lines": [{"item": "honey", "note": "hi"}], "newer": "x", "count": 3}
    assert list(texts(value, strings_of(Outer))) == [(Text.ID, "honey"), (Text.ANY, "hi"), (Text.ANY, "x")]


def test_words_that_are_no_code_become_a_note() -> None:
    assert CancelReason.of("ordered-twice", "see the other") == (CancelReason.ORDERED_TWICE, "see the other")
    assert CancelReason.of("李姐不在家", "打13900000002") == (CancelReason.OTHER, "李姐不在家; 打13900000002")
    assert CancelReason.of("unknown") == (CancelReason.OTHER, "unknown")
    assert CancelReason.of("") == (CancelReason.OTHER, "")
    assert UndeliveredReason.of("nobody-home") == (UndeliveredReason.OTHER, "nobody-home")
