"""API1:2023, broken object level authorisation: every route to an object x every kind of principal x {own, foreign,
none, other tenant}, against one table.

The routes come from the OpenAPI documents; one to an object that has no row fails. Routes to no object of anybody, the
fast path among them, are asked in `tests/contract/test_scopes.py`, which also has the scope of each route.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import httpx2
import pytest

from contracts.scopes import KINDS, STAFF
from services.kit.context import Context
from services.kit.process.api import create_api
from services.kit.process.openapi import document
from services.kit.process.service import Service
from tests.contract.test_scopes import ACCESS, DISPATCH, INVENTORY, ORDERS, S, guarded
from tests.integration.campaign_world import PRICES, a_campaign, a_join
from tests.integration.dispatch_world import Order, World, hours
from tests.integration.dispatch_world import fresh_world as fresh_world
from tests.integration.inventory_service import POOL, open_inventory
from tests.integration.orders_world import an_order, open_orders
from tests.stack import TestStack
from tests.tokens import Issuer

pytestmark = pytest.mark.stack
WHO: Mapping[str, frozenset[S]] = {**KINDS, **{f"staff.{role}": scopes for role, scopes in STAFF.items()}}
"""Every kind of principal; staff by role."""
HERE = {
    "communities": ["qifeng"], "points": ["gate"], "sites": ["square", POOL.partition("@")[2]], "stations": ["guandu"],
    "terminals": ["stall-1"], "couriers": ["van-1"],
}  # fmt: skip
ELSEWHERE = {name: ["elsewhere"] for name in HERE}
NONE, OTHER = "none", "other tenant"
RELATIONS = ("own", "foreign", NONE, OTHER)


@dataclass(frozen=True)
class Row:
    """The kinds that act on their own object by a route; it does not exist for all others. `body`: of the request."""

    own: frozenset[str]
    body: Any = None


def row(*own: str, body: Any = None) -> Row:
    return Row(frozenset(own), body)


def staff(*roles: str) -> tuple[str, ...]:
    return tuple(f"staff.{role}" for role in roles)


READERS = ("resident", "leader", *staff("desk", "dispatcher", "finance", "admin"))
HANDING_OVER = ("leader", *staff("desk", "admin"))
DISPATCHERS = staff("dispatcher", "admin")
STOCKTAKERS = ("steward", *staff("desk", "intake", "admin"))
CLOSERS = ("terminal", *staff("desk", "admin"))
A_MOVE = {"version": 1, "moves": [{"jobs": [str(uuid4())], "courier": "van-1", "trip": 1}]}
A_SHIFT = {"market_day": "sat", "from": hours(3).isoformat(), "until": hours(9).isoformat()}
ROWS: Mapping[str, Mapping[str, Row]] = {
    "orders": {
        "GET /v1/orders/{order}": row(*READERS),
        "GET /v1/orders/{order}/history": row(*READERS),
        "POST /v1/orders/{order}:cancel": row("resident", *staff("admin"), body={}),
        "POST /v1/orders/{order}:pay": row(
            "payment", *staff("finance", "admin"), body={"payment_id": "p1", "amount_fen": 1}
        ),
        "POST /v1/orders/{order}:refund": row(*staff("finance", "admin")),
        "POST /v1/orders/{order}:ready": row(*HANDING_OVER),
        "POST /v1/orders/{order}:collect": row(*HANDING_OVER, body={"code": "000000"}),
        "POST /v1/orders/{order}:erase": row(*staff("admin"), body={"why": "asked"}),
        "GET /v1/campaigns/{campaign}": row(*WHO),
        "GET /v1/campaigns/{campaign}/verdict": row(*WHO),
        "GET /v1/campaigns/{campaign}/joins": row(*HANDING_OVER),
        "GET /v1/campaigns/{campaign}/joins/{join}": row(*READERS),
        "POST /v1/campaigns/{campaign}/joins": row(
            "resident", "capability", *HANDING_OVER, body=a_join(2, payment="pending")
        ),
        "POST /v1/campaigns/{campaign}/relay": row(
            *HANDING_OVER, body={"chat": "c1", "entries": [{"entry": 1, **a_join(3, payment="pending")}]}
        ),
        "POST /v1/campaigns/{campaign}/joins/{join}:cancel": row("resident", *HANDING_OVER),
        "GET /v1/members/{member}": row(*staff("desk", "dispatcher", "finance", "admin")),
        "PUT /v1/members/{member}:credit": row(*staff("finance", "admin"), body={"allowed": False}),
        "POST /v1/terminals/{id}/sync": row(
            "terminal", *staff("admin"), body={"device": "d1", "market_day": "sat", "uploads": []}
        ),
        "POST /v1/terminals/{id}:reset-device": row(*staff("admin"), body={}),
    },
    "inventory": {
        "GET /v1/lots/{id}": row("terminal", *STOCKTAKERS),
        "GET /v1/lots/{id}/trace": row(*STOCKTAKERS),
        "POST /v1/lots/{id}:inspect": row(*STOCKTAKERS, body={"result": "pass"}),
        "POST /v1/pools/{pool}/items/{item}:sold-out": row(*CLOSERS),
        "DELETE /v1/pools/{pool}/items/{item}:sold-out": row(*CLOSERS),
        "POST /v1/pools/{pool}/items/{item}:confirm-sales": row(*STOCKTAKERS),
    },
    "dispatch": {
        "GET /v1/waves/{wave}": row(*DISPATCHERS),
        "GET /v1/waves/{wave}/plan": row(*DISPATCHERS),
        "GET /v1/waves/{wave}/problem": row(*DISPATCHERS),
        "POST /v1/waves/{wave}:cut": row(*DISPATCHERS),
        "POST /v1/waves/{wave}:release": row(*DISPATCHERS),
        "POST /v1/waves/{wave}/plan:apply": row(*DISPATCHERS, body=A_MOVE),
        "POST /v1/couriers/{courier}/shifts": row(*DISPATCHERS, body=A_SHIFT),
        "GET /v1/couriers/{courier}/route": row("courier", *DISPATCHERS),
        "POST /v1/couriers/{courier}/sync": row("courier", *staff("admin"), body={"uploads": []}),
        "GET /v1/jobs/{job}": row(*DISPATCHERS),
        "POST /v1/jobs/{job}:reassign": row(*DISPATCHERS, body={"courier": "van-2", "expected_epoch": 9}),
    },
    "access": {},
}
"""Routes to an object. Who lacks the scope of a route gets a 403 for any object."""
NOBODYS = {
    "/v1/catalog/": "entries of the catalogue belong to nobody; `integration/test_bounds.py` shows what a buyer sees",
    "/v1/parked/": "dead letters are of the operations of a service",
    "/v1/receipts/": "`integration/test_prepaid.py`: a receipt without an order belongs to no community",
    "/v1/principals/": "`integration/test_access_people.py`: those that the caller could invite",
    "/v1/uploads/quarantined/": "`integration/test_signed_uploads.py`",
}
"""Beginnings of paths to objects that no principal owns, or of which another test has the owners."""


@dataclass(frozen=True)
class Site:
    """A service with objects: the ids of one's own by parameter, and those of none."""

    service: Service
    context: Context
    own: Mapping[str, str]

    @property
    def nothing(self) -> Mapping[str, str]:
        return {name: str(uuid5(NAMESPACE_URL, id)) if len(id) == 36 else f"{id}-no" for name, id in self.own.items()}


class Asker:
    """Asks the routes of a service as principals with these relations to its objects."""

    def __init__(self, site: Site) -> None:
        self.site, self.issuer = site, Issuer()
        app = create_api(site.service, site.context, self.issuer.directory)
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test")

    async def ask(self, route: str, who: str, relation: str, body: Any) -> httpx2.Response:
        method, _, template = route.partition(" ")
        ids = self.site.nothing if relation == NONE else self.site.own
        path = template
        for name, id in ids.items():
            path = path.replace(f"{{{name}}}", id)
        self.issuer.tenant = "elsewhere" if relation == OTHER else "main"
        subject = f"{who}.anna" if relation != "foreign" else f"{who}.bo"
        bounds = ELSEWHERE if relation == "foreign" else HERE
        headers = self.issuer.headers(subject, WHO[who], self.site.context.clock.real(), **bounds)
        more = {"json": body} if method != "GET" else {}
        return await self.http.request(method, path, headers=headers, **more)


def objects(service: Service) -> list[str]:
    """The routes of the OpenAPI document that lead to an object and need a token."""
    routes = [f"{method.upper()} {path}" for path, item in document(service)["paths"].items() for method in item]
    return [route for route in routes if "{" in route and route in guarded(service) and not of_nobody(route)]


def of_nobody(route: str) -> bool:
    return route.partition(" ")[2].startswith(tuple(NOBODYS))


def normal(answer: httpx2.Response, ids: Mapping[str, str]) -> tuple[int, str]:
    """An answer without the id of its occurrence, and of the objects that were asked for."""
    body = answer.json() if answer.content else {}
    text = str({**body, "instance": ""} if isinstance(body, dict) else body)
    for name, id in ids.items():
        text = text.replace(id, f"{{{name}}}")
    return answer.status_code, text


async def wrong(site: Site) -> list[str]:
    """Every route that answers anyone otherwise than the table says. Owners are asked last: they change the objects."""
    asker, scopes, found = Asker(site), guarded(site.service), []
    for route, told in ROWS[site.service.name].items():
        for who, own in WHO.items():
            in_scope = not scopes[route] or bool(own & {*scopes[route]})
            none = await asker.ask(route, who, NONE, told.body)
            missing = normal(none, site.nothing)
            expected = 404 if in_scope else 403
            if none.status_code != expected:
                found.append(f"{route} as {who} of none: {none.status_code}, not {expected}: {none.text}")
            for relation in RELATIONS[1:]:
                answer = await asker.ask(route, who, relation, told.body)
                if relation == OTHER and answer.status_code != 401:
                    found.append(f"{route} as {who} of another tenant: {answer.status_code}")
                if relation == "foreign" and normal(answer, site.own) != missing:
                    found.append(f"{route} as {who} of a foreign object: {answer.text}, of none: {none.text}")
    for route, told in ROWS[site.service.name].items():
        for who in WHO:
            answer = await asker.ask(route, who, "own", told.body)
            none = await asker.ask(route, who, NONE, told.body)
            refused = normal(answer, site.own) == normal(none, site.nothing) or answer.status_code in {401, 403}
            if refused == (who in told.own):
                found.append(f"{route} as {who} of their own: {answer.status_code} {answer.text}")
    return found


@pytest.fixture
async def orders(stack: TestStack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("HALFDAY_MEMBER_KEY", "ab" * 32)
    async with open_orders(stack) as world:
        for path, body in PRICES.items():
            await world.put(path, body)
        asker = Asker(Site(ORDERS, world.context, {}))

        async def made(route: str, who: str, body: Any, name: str) -> str:
            answer = await asker.ask(route, who, "own", body)
            assert answer.status_code == 201, answer.text
            return str(answer.json()[name])

        pickup = {"kind": "pickup", "point": "gate"}
        order = await made("POST /v1/orders", "resident", an_order(payment="pending", fulfilment=pickup), "order_id")
        campaign = await made("POST /v1/campaigns", "leader", a_campaign(), "campaign_id")
        join = a_join(1, payment="pending")
        join = await made(f"POST /v1/campaigns/{campaign}/joins", "resident", join, "join_id")
        member = await world.context.pool.fetchval("select member_id::text from orders")
        ids = {"order": order, "campaign": campaign, "join": join, "id": "stall-1", "member": member}
        yield Site(ORDERS, world.context, ids)


@pytest.fixture
async def inventory(stack: TestStack) -> AsyncIterator[Site]:
    async with open_inventory(stack) as world:
        lot = await world.stocked("honey", 5)
        yield Site(INVENTORY, world.context, {"id": lot, "pool": POOL, "item": "honey"})


@pytest.fixture
async def dispatch(world: World) -> Site:
    order = Order()
    await world.released([order])
    return Site(DISPATCH, world.context, {"wave": "noon", "job": str(order.job), "courier": "van-1"})


@pytest.mark.parametrize("service", [ORDERS, INVENTORY, DISPATCH, ACCESS], ids=lambda service: service.name)
def test_every_route_to_an_object_has_a_row(service: Service) -> None:
    assert set(objects(service)) == set(ROWS[service.name])


@pytest.mark.parametrize("query", ["", "?unusual=1"], ids=["fast path", "route"])
async def test_the_id_of_an_order_belongs_to_its_subject(orders: Site, query: str) -> None:
    asker, route = Asker(orders), f"POST /v1/orders{query}"
    body = an_order(payment="pending", order_id=str(uuid4()))

    async def placed(relation: str, **more: Any) -> int:
        return (await asker.ask(route, "resident", relation, body | more)).status_code

    assert [await placed("own"), await placed("own"), await placed("foreign")] == [201, 201, 422]
    anywhere = asker.issuer.headers("resident.bo", WHO["resident"], orders.context.clock.real())
    taken = await asker.http.post(f"/v1/orders{query}", json=body, headers=anywhere)
    assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
    assert await placed(OTHER, order_id=str(uuid4())) == 401


async def test_orders(orders: Site) -> None:
    found = await wrong(orders)
    assert not found, "\n".join(found)


async def test_inventory(inventory: Site) -> None:
    found = await wrong(inventory)
    assert not found, "\n".join(found)


async def test_dispatch(dispatch: Site) -> None:
    found = await wrong(dispatch)
    assert not found, "\n".join(found)
