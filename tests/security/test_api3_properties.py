"""API3:2023, broken object property level authorisation: a caller writes and reads its own properties only.

Hidden parts of the trade and of group-buys are in `tests/integration/test_bounds.py` and `test_group_buy_owners.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contracts.scopes import Scope
from services.kit.process.openapi import document
from services.kit.process.service import Service
from tests.contract.test_scopes import SERVICES
from tests.security.test_api1_objects import READERS, WHO, Asker, Site
from tests.security.test_api1_objects import orders as orders

Schema = dict[str, Any]
DECIDED_HERE = {
    "owner",
    "leader",
    "actor",
    "tenant",
    "state",
    "paid_fen",
    "refunded_fen",
    "total_fen",
    "scopes",
    "subject",
}
"""Properties of objects that the services decide, so that no request may set them."""
FACTS = "/uploads/*"
"""Records of a device are kept as they came, and judged one by one."""
PRIVATE = {"recipient", "code"}


def bodies(service: Service) -> Iterator[tuple[str, Schema]]:
    """Every object in a request's body, with its place."""
    found = document(service)
    for path, item in found["paths"].items():
        for method, operation in item.items():
            for kind in operation.get("requestBody", {}).get("content", {}).values():
                yield from _objects(f"{method.upper()} {path} #", kind["schema"], found, ())


def _objects(at: str, schema: Schema, found: Schema, seen: tuple[str, ...]) -> Iterator[tuple[str, Schema]]:
    if (name := schema.get("$ref")) and name not in seen:
        yield from _objects(at, found["components"]["schemas"][name.rpartition("/")[2]], found, (*seen, name))
    for part in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(part, ()):
            yield from _objects(at, one, found, seen)
    if "properties" in schema:
        yield at, schema
    for name, one in schema.get("properties", {}).items():
        yield from _objects(f"{at}/{name}", one, found, seen)
    if isinstance(schema.get("items"), dict):
        yield from _objects(f"{at}/*", schema["items"], found, seen)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_body_has_no_property_beside_the_documented_ones(service: Service) -> None:
    open_ones = [at for at, schema in bodies(service) if schema.get("additionalProperties") is not False]
    assert [at for at in open_ones if not at.endswith(FACTS)] == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_no_body_sets_what_the_service_decides(service: Service) -> None:
    found = {f"{at}/{name}" for at, schema in bodies(service) for name in DECIDED_HERE & {*schema["properties"]}}
    assert found == set()


@pytest.mark.stack
async def test_the_person_of_an_order_is_shown_to_its_owner_and_to_those_who_may_read_persons(orders: Site) -> None:
    asker = Asker(orders)
    for who in READERS:
        answer = await asker.ask("GET /v1/orders/{order}", who, "own", None)
        assert answer.status_code == 200
        shown = {name for name in PRIVATE if answer.json().get(name)}
        may = who == "resident" or Scope.PERSON_READ in WHO[who]
        assert shown == (PRIVATE if may else set()), who
