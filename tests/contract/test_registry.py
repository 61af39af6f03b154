"""The registry knows every type, reads everything that it writes, and refuses other types by name."""

import json

import pytest
from pydantic import ValidationError

from contracts.envelope import Event
from contracts.events.orders import OrderPlaced
from contracts.registry import MODELS, UnknownType, _table, decode, encode, model_of
from contracts.tools.docs import subject_of
from contracts.tools.schemas import EXAMPLES, type_of
from contracts.topics import BY_NAME
from contracts.values import Channel

PLACED = "market.orders.order-placed.v1"
EXAMPLE = (EXAMPLES / "orders.order-placed.v1" / "001.json").read_bytes()


def test_types_match_their_classes_and_topics() -> None:
    assert model_of(PLACED) is OrderPlaced
    assert list(MODELS) == sorted(MODELS)
    for type, model in MODELS.items():
        assert type == model.TYPE
        assert type.split(".")[1] == BY_NAME[model.TOPIC].owner


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*.v1/*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_an_example_comes_back_as_it_went(path) -> None:
    event = decode(type_of(path.parent.name), path.read_bytes())
    assert decode(event.TYPE, encode(event)) == event
    assert event.key.isascii()
    assert event.subject.isascii()
    keyed_by = BY_NAME[event.TOPIC].keyed_by
    assert keyed_by == "entity" or event.key == str(getattr(event, keyed_by))
    assert subject_of(BY_NAME[event.TOPIC]) != keyed_by or event.subject == event.key


def test_the_value_is_compact_json() -> None:
    value = encode(decode(PLACED, EXAMPLE))
    assert b'": ' not in value
    added_since = {"campaign": None, "join": None}
    assert json.loads(value) == json.loads(EXAMPLE) | added_since


def test_a_reader_of_today_takes_what_comes_tomorrow() -> None:
    newer = json.loads(EXAMPLE) | {"gift_note": "新年好", "channel": "drone"}
    event = decode(PLACED, json.dumps(newer).encode())
    assert isinstance(event, OrderPlaced)
    assert event.channel is Channel.UNKNOWN


def test_an_unknown_type_is_named() -> None:
    assert model_of("market.orders.order-placed.v9") is None
    with pytest.raises(UnknownType, match=r"order-placed\.v9"):
        decode("market.orders.order-placed.v9", EXAMPLE)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", EXAMPLE.replace(b"750", b"-750", 1)])
def test_a_value_that_does_not_fit_is_refused(value: bytes) -> None:
    with pytest.raises(ValidationError):
        decode(PLACED, value)


class _Keyed(Event):
    @property
    def key(self) -> str:
        return "k"


class Astray(_Keyed, topic="orders.nowhere.v1"):
    """An event on an unlisted topic."""


class Keyless(Event, topic="orders.order.v1"):
    """An event without a key."""


class Fine(_Keyed, topic="orders.order.v1"):
    """A valid event."""


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ([Astray], "orders.nowhere.v1"),
        ([Keyless], "does not define its key"),
        ([Fine, Fine], "duplicate, defined by Fine and Fine"),
    ],
)
def test_a_wrong_class_is_refused_at_import(classes: list[type[Event]], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        _table(classes)
    assert _table([Fine]) == {"market.orders.fine.v1": Fine}


def test_a_base_class_is_no_type() -> None:
    assert not any(base in MODELS.values() for model in MODELS.values() for base in model.__mro__[1:])
