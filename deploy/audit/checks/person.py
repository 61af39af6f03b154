"""No personal data is in a topic that others may read.

The contracts say for each string of an event who may have written it (`contracts/texts.py`). A string is searched only
for data that cannot be there otherwise: a buyer named `order`, `honey` or `not collected` proves nothing. Field names
and numbers hold no personal data; the operator's texts name places and goods, after which people are named too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from contracts.registry import MODELS
from contracts.texts import Text, strings_of, texts
from contracts.topics import DISPATCH, ORDERS
from contracts.values import MOBILE, MOBILE_ID
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Record
from deploy.audit.finding import Finding

_IDS = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-][\d:]+)?"
)
# A campaign's text about a missed threshold: both numbers are its own.
_THRESHOLD = re.compile(r"\d+ of at least \d+")
_DIGITS = re.compile(r"\d(?:[ -]?\d)*")
_NUMBER, _NAME, _ADDRESS = 7, 2, 4
"""Shorter numbers, names and addresses identify no one."""
_CATALOGUE = "orders.catalog.v1"
# The product's own headers: ids, times, numbers, and reasons that never quote content.
_OURS = re.compile(r"(ce|parked)_\w+|content-type|correlation_id|traceparent")

Places = dict[str, Record]
"""Texts, each with the first record that has it."""


def absent(evidence: Evidence) -> Iterator[Finding]:
    """No name, telephone number or address of a recipient is in any public topic."""
    found: dict[Text, Places] = {kind: {} for kind in Text}
    for record in evidence.log.records:
        for kind, text in _texts(record):
            found[kind].setdefault(_IDS.sub("", text), record)
    numbers = {
        digits: record
        for kind, places in found.items()
        for text, record in places.items()
        for digits in _mobiles(text, MOBILE_ID if kind is Text.ID else MOBILE)
    }
    # Ids, and the product's words about them, may hold numbers of all other shapes.
    unbound = found[Text.CODE] | found[Text.ANY]
    numbers |= {digits: record for text, record in unbound.items() for digits in _numbers(text)}
    # The product's texts are English without proper names, so almost none are left to search.
    others = (places for kind, places in found.items() if kind is not Text.OPERATOR)
    wordy = {text: record for places in others for text, record in places.items() if _could_name(text)}
    yield from _compared(evidence, numbers, wordy)


def erased(evidence: Evidence) -> Iterator[Finding]:
    """No service has data of an erased person."""
    for service in (ORDERS, DISPATCH):
        known = {row["order_id"] for row in evidence.rows(service, "recipient")}
        for row in evidence.rows(ORDERS, "erased"):
            if row["order_id"] in known:
                yield Finding("person", row["order_id"], "was erased and still has a recipient", f"{service}.recipient")


def _compared(evidence: Evidence, numbers: Places, wordy: Places) -> Iterator[Finding]:
    people = [*evidence.rows(ORDERS, "recipient"), *evidence.rows(ORDERS, "campaign_person")]
    owners = {column: {row[column]: row["order_id"] for row in people} for column in ("name", "phone", "address")}
    for phone, order in owners["phone"].items():
        if record := numbers.get(_plain(phone)):
            yield _finding("phone", order, record)
    everything = "\n".join(wordy)
    for column, least in (("name", _NAME), ("address", _ADDRESS)):
        for value, order in owners[column].items():
            if len(value) >= least and _could_name(value) and value in everything:
                yield _finding(column, order, next(record for text, record in wordy.items() if value in text))


def _finding(column: str, order: str, record: Record) -> Finding:
    return Finding("person", order, f"the {column} of its recipient is in a public topic", record.where)


def _texts(record: Record) -> Iterator[tuple[Text, str]]:
    yield Text.ID, record.key
    for name, text in record.headers.items():
        yield Text.ID if _OURS.fullmatch(name) else Text.ANY, text
    type = record.headers.get("ce_type", "")  # a dead letter keeps the type of its record
    try:
        found = list(texts(json.loads(record.value or b"null"), _known(type)))
    except ValueError:
        found = [(Text.ANY, (record.value or b"").decode(errors="replace"))]
    about_catalogue = _CATALOGUE in (record.topic, record.headers.get("parked_topic"))
    for kind, text in found:
        yield (Text.OPERATOR if kind is Text.ANY and about_catalogue else kind), text


@cache
def _known(type: str) -> Mapping[str, Text]:
    return strings_of(MODELS[type]) if type in MODELS else {}


def _could_name(text: str) -> bool:
    """Return True for text with letters beyond ASCII, or with two words in a row that look like a name or a door."""
    if not text.isascii():
        return any(letter.isalpha() and not letter.isascii() for letter in text)
    first = [word[0] for word in text.split()]
    return any(
        (one.isupper() or one.isdigit()) and (two.isupper() or two.isdigit()) and (one.isupper() or two.isupper())
        for one, two in pairwise(first)
    )


def _numbers(text: str) -> Iterator[str]:
    for found in _DIGITS.findall(text):
        yield from {_plain(found), *re.split("[ -]", found)}


def _mobiles(text: str, shape: re.Pattern[str]) -> Iterator[str]:
    return (_plain(found) for found in shape.findall(_THRESHOLD.sub("", text)))


def _plain(phone: str) -> str:
    """Return the digits of a number, without the country code of a mobile one; an empty text if there are too few."""
    digits = re.sub(r"\D", "", phone)
    mobile = re.fullmatch(r"(?:00)?86(1[3-9]\d{9})", digits)
    return mobile[1] if mobile else digits if len(digits) >= _NUMBER else ""
