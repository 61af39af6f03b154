"""The audit finds a person wherever one was put, and is never misled by what a buyer calls himself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.registry import MODELS
from contracts.texts import Text, strings_of
from contracts.tools.schemas import EXAMPLES
from contracts.topics import BY_NAME
from deploy.audit.checks import person
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Log, Record
from deploy.audit.evidence.tables import TABLES
from services.kit.consumer.dead_letters import QUEUED

NAME, PHONE, DOOR = "欧阳锦绣", "13807314711", "梅溪湖路88号2栋"
WHO = {"order_id": "o-1", "name": NAME, "phone": PHONE, "address": DOOR}
PUBLIC = [type for type, model in MODELS.items() if not BY_NAME[model.TOPIC].private]
SAID = (
    "not collected",
    "the routes are handed out",
    "no site of 20241102 serves qifeng",
    "it is expired",
    "amount: 13800000000 of at least 13900000000",
    "people: 1 of at least 2",
    "too late to stop: loaded",
)


def example(type: str) -> Any:
    """Return the contracts' example of a type."""
    return json.loads((EXAMPLES / type.removeprefix("market.") / "001.json").read_text())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield each string of an event with its field."""
    if isinstance(value, str):
        yield path, ".".join(step for step in path if isinstance(step, str))
    elif isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, step))


def replaced(value: Any, path: tuple[Any, ...], text: str) -> Any:
    """The value with another text at a place."""
    if not path:
        return text
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], text)
    return copy


def record(type: str, value: Any, **headers: str) -> Record:
    """A record of a type, as it would be sent."""
    known = {"ce_id": "e", "ce_type": type, "ce_subject": "20241102@square/honey", "ce_correlationid": "20241102"}
    known |= {"parked_offset": "20241102", "parked_reason": QUEUED}
    return Record(MODELS[type].TOPIC, 0, 0, "20241102@square", json.dumps(value).encode(), known | headers)


def found(*records: Record, **who: str) -> list[str]:
    """Return the findings of the check for these records, with one known person."""
    books: dict[tuple[str, str], list[Any]] = {(s, t): [] for s, names in TABLES.items() for t in names}
    books["orders", "recipient"] = [WHO | who]
    return [finding.what.split()[1] for finding in person.absent(Evidence(Log(records, {}), books))]


def honest() -> list[Record]:
    """A record of every public type, with ids that look like numbers and everything that the product says."""
    records = []
    for type in PUBLIC:
        value, kinds = example(type), strings_of(MODELS[type])
        for n, (path, field) in enumerate(leaves(value)):
            texts = {Text.PRODUCT: SAID[n % len(SAID)], Text.CODE: "other", Text.OPERATOR: f"李姐 Honey {DOOR}"}
            if kinds[field] in texts:
                value = replaced(value, path, texts[kinds[field]])
            elif kinds[field] is Text.ID and field.endswith(("item", "market_day", "pool")):
                value = replaced(value, path, "20241102@1234567" if field.endswith("pool") else "20241102")
        records += [record(type, value)]
    return records


HONEST = honest()
WRITTEN = sorted(
    {text for one in HONEST for text in one.headers.values()}
    | {text for one in HONEST for text in json.dumps(json.loads(one.value or b""), ensure_ascii=False).split('"')}
)
HOSTILE = [
    *("order", "placed", "honey", "other", "1200", "20241102", "李姐", "李", DOOR, "Honey", "at least", "Of 1", "1"),
    *("market.orders.order-placed.v1", "20241102@square", *SAID),
]


def test_honest_books_hold_whatever_a_buyer_is_called() -> None:
    for text in (*HOSTILE, *WRITTEN):
        assert not found(*HONEST, name=text, address=text), text


@given(number=st.sampled_from(["20241102", "2024-11-02", "1234567", "1-234-567", "13800000000", "+13900000000"]))
def test_honest_books_hold_whatever_number_a_buyer_gives(number: str) -> None:
    assert not found(*HONEST, phone=number)


@pytest.mark.parametrize("id", [f"abc{PHONE}", f"pay-0198f2c1-7139-7312-9061-a{PHONE}", f"{PHONE}0"])
def test_an_id_that_a_buyer_chose_names_nobody_by_chance(id: str) -> None:
    refunded = {"order": "o", "amount_fen": 1, "payment": id}
    assert found(record("market.orders.order-refunded.v1", refunded, ce_correlationid=id)) == []
    refunded["payment"] = f"pay-{PHONE}"
    assert found(record("market.orders.order-refunded.v1", refunded)) == ["phone"]


@given(name=st.text(max_size=12), address=st.text(alphabet="0123456789 aA栋-", max_size=12))
def test_honest_books_hold_for_any_text(name: str, address: str) -> None:
    assert not found(*HONEST, name=name, address=address) or name in f"李姐{DOOR}"


@pytest.mark.parametrize("type", PUBLIC)
def test_a_person_in_any_string_of_a_public_event_is_found(type: str) -> None:
    value, kinds = example(type), strings_of(MODELS[type])
    for path, field in leaves(value):
        told = replaced(value, path, f"{NAME}的家, 打{PHONE}, {DOOR}")
        expected = ["phone"] if kinds[field] is Text.OPERATOR else ["phone", "name", "address"]
        assert found(record(type, told)) == expected, path
    newer = ["phone"] if MODELS[type].TOPIC == "orders.catalog.v1" else ["phone", "name"]
    assert found(record(type, value | {"gift_note": f"{NAME} {PHONE}"})) == newer


@pytest.mark.parametrize(
    "text", [PHONE, "+86 138-0731-4711", "8613807314711", "call 138 0731 4711 at 5", "2 13807314711"]
)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    told = record("market.orders.order-failed.v1", {"order": "o", "reason": text})
    assert found(told) == ["phone"]
    assert found(told, phone="+86 138 0731 4711") == ["phone"]


def test_a_name_of_latin_letters_is_found_where_it_is_written_as_one() -> None:
    told = record("market.orders.order-failed.v1", {"order": "o", "reason": "Li Wei of 12 Lane is out"})
    assert found(told, name="Li Wei", address="12 Lane") == ["name", "address"]


@pytest.mark.parametrize("field", ["reason", "x-note", "ce_subject", "parked_reason"])
def test_a_person_in_a_header_is_found(field: str) -> None:
    told = record("market.orders.order-failed.v1", {"order": "o"}, **{field: f"{NAME} {PHONE}"})
    assert found(told) == ["phone", "name"]


def test_a_person_in_a_dead_letter_or_in_bytes_that_nobody_reads_is_found() -> None:
    letter = record("market.orders.order-cancelled.v1", {"order": "o", "reason": NAME})
    assert found(Record("orders.dlq.v1", 0, 0, "o", letter.value, letter.headers)) == ["name"]
    assert found(Record("orders.dlq.v1", 0, 0, "o", f"not JSON {PHONE}".encode(), {})) == ["phone"]
    assert found(record("market.orders.order-failed.v1", {NAME: 13807314711})) == []
