"""Erasing the person of an order, in the databases of orders and dispatch: every table, archive and dead letter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.events import inventory as i
from contracts.events.orders import RecipientPut
from contracts.values import reservation_of
from services.dispatch.app import SERVICE
from services.kit.transaction import outbox
from services.kit.transaction.message import ERASED
from tests.integration.dispatch_world import Order, World, upload
from tests.integration.dispatch_world import fresh_world as fresh_world
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
TOPIC = RecipientPut.TOPIC
DOOR = {"text": "枫林三路7号5栋", "lat": 28.2281234, "lon": 112.9771234}
PLANTED = ("诸葛长乐", "13907312006", DOOR["text"], "28.2281234", "3-302")


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


async def cancelled(orders: Orders, **more: Any) -> UUID:
    """An order of the planted person that was cancelled in words, with everything sent."""
    door = {"kind": "delivery", "address": DOOR}
    who = {"name": "诸葛长乐", "phone": "13907312006"}
    id = await orders.place(**{"recipient": who, "fulfilment": door, **more})
    await orders.post(f"/v1/orders/{id}:cancel", {"reason": "moved to 3-302"})
    claim = {"reservation": reservation_of(id, "sat@square", 1), "pool": "sat@square", "order": id}
    await orders.hear(i.ReservationReleased(**claim, quantity=0))
    return id


async def send(orders: Orders) -> None:
    """Moves the whole outbox to the archive, as the relay does once Kafka has it."""
    ids = await orders.context.pool.fetch("select id from outbox order by id")
    await outbox.prepare_archive(orders.context.pool)  # type: ignore[arg-type]
    await outbox.OutboxTable(orders.context.pool).archive([(row["id"], 0, row["id"]) for row in ids])  # type: ignore[arg-type]


async def tables_with(orders: Orders, text: str) -> set[str]:
    """Return the tables that contain a text, as bytes too."""
    found = set()
    for row in await orders.context.pool.fetch(
        "select tablename as name from pg_tables where schemaname = 'public' and tablename !~ '^outbox_sent_'"
    ):
        query = f"select exists (select from {row['name']} t where t::text like $1 or t::text like $2)"
        if await orders.context.pool.fetchval(query, f"%{text}%", f"%{text.encode().hex()}%"):
            found.add(row["name"])
    return found


async def erase(orders: Orders, id: UUID, why: str = "asked by the buyer", role: str = "operator") -> Any:
    return await orders.post(f"/v1/orders/{id}:erase", {"why": why}, role)


async def test_nothing_of_a_person_is_left_and_the_order_stays(orders: Orders):
    id = await cancelled(orders)
    await send(orders)
    assert await tables_with(orders, "诸葛长乐") == {"recipient", "outbox_sent"}
    answer = await erase(orders, id)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["erased_by"], answer.json()["why"]) == ("local.operator", "asked by the buyer")
    for text in PLANTED:
        assert await tables_with(orders, text) == set(), text
    (tombstone,) = await orders.context.pool.fetch("select topic, key, subject, seq, payload, headers from outbox")
    assert tuple(tombstone)[:5] == (TOPIC, str(id), str(id), 2, None)
    assert ERASED in tombstone["headers"]
    shown = (await orders.get(f"/v1/orders/{id}")).json()
    assert (shown["state"], shown["recipient"], shown["code"]) == ("cancelled", None, "")
    assert (await orders.get(f"/v1/orders/{id}/history")).json()["steps"][1]["note"] is None


async def test_once_more_is_the_same_and_tells_nothing(orders: Orders):
    id, pickup = await cancelled(orders), await cancelled(orders, fulfilment={"kind": "pickup", "point": "gate"})
    first = await erase(orders, id)
    await send(orders)
    assert (await erase(orders, id, "another reason")).json() == first.json()
    assert (await erase(orders, pickup)).status_code == 200
    assert await orders.context.pool.fetchval("select count(*) from outbox") == 0
    listed = (await orders.get("/v1/erasures", "operator")).json()
    assert [one["order_id"] for one in listed["items"]] == sorted((str(id), str(pickup)))
    page = (await orders.get("/v1/erasures?limit=1", "operator")).json()
    (rest,) = (await orders.get(f"/v1/erasures?limit=1&cursor={page['next']}", "operator")).json()["items"]
    assert [page["items"][0], rest] == listed["items"]


async def test_what_waits_is_parked_or_is_sent_again_holds_nobody(orders: Orders):
    id = await cancelled(orders)
    await orders.context.pool.execute(
        'insert into parked (consumer, scope, event_id, topic, partition, "offset", key, headers, payload, error, '
        "attempts) select 'orders.relay', key, event_id, topic, -1, -1, key::bytea, headers, payload, 'x', 1 "
        "from outbox where topic = $1",
        TOPIC,
    )
    assert await tables_with(orders, "诸葛长乐") == {"recipient", "outbox", "parked"}
    await erase(orders, id)
    assert await tables_with(orders, "诸葛长乐") == set()
    await send(orders)
    assert await outbox.republish(orders.context.pool, TOPIC, 0, 0) == 2  # type: ignore[arg-type]
    assert await orders.context.pool.fetchval("select count(*) from outbox where payload is null") == 2


async def test_only_the_operator_erases_and_only_what_has_ended(orders: Orders):
    id = await orders.place()
    answer = await erase(orders, id)
    assert (answer.status_code, answer.json()["code"]) == (409, "not-ended")
    assert f"order {id} is placed: cancel it or wait for its end" in answer.json()["detail"]
    assert (await erase(orders, uuid4())).status_code == 404
    for role in ("buyer", "leader", "terminal", "courier"):
        assert (await erase(orders, id, role=role)).status_code == 403
        assert (await orders.get("/v1/erasures", role)).status_code == 403
    for why in ("", " ", "x" * 201):
        assert (await erase(orders, id, why)).status_code == 422
    assert (await orders.get(f"/v1/orders/{id}")).json()["recipient"]["name"] == "李姐"


async def test_a_repeat_brings_nobody_back(orders: Orders):
    body = an_order(order_id=str(uuid4()), recipient={"name": "诸葛长乐", "phone": "13907312006"})
    await orders.post("/v1/orders", body)
    id = await cancelled(orders, order_id=body["order_id"], **{k: body[k] for k in ("recipient", "fulfilment")})
    await erase(orders, id)
    assert (await orders.post("/v1/orders", body)).status_code == 201
    assert await tables_with(orders, "诸葛长乐") == set()


async def test_dispatch_forgets_what_couriers_wrote_also_when_it_comes_late(world: World):
    order = Order(n=7)
    await world.released([order])
    courier = str((await world.job(order))["courier"])
    words = {"reason": "给诸葛长乐", "note": "left at 3-302"}
    first = upload(1, "fail", order, **words) | {"recorded_at": "诸葛长乐 at 9"}

    async def sync(*uploads: dict[str, Any]) -> list[str]:
        body = {"device": "phone", "uploads": list(uploads)}
        answer = await world.call("courier", "POST", f"/couriers/{courier}/sync", json=body)
        return [one["answer"] for one in answer["uploads"]]

    unread = upload(3, "fail", order, **words)
    unread["body"]["epoch"] = "first"
    done = upload(2, "deliver", order, code="4711")
    assert await sync(first, done, unread) == ["applied", "applied", "kept"]
    odd = upload(1, "fail", order, reason="3-302", note="\x00")
    assert await sync(upload(1, "fail", order, reason="3-302"), odd) == ["conflict", "conflict"]
    assert await world.tables_with("3-302") == {"evidence", "sequenced", "sequenced_conflict"}
    assert "给诸葛长乐".encode() in await world.pool.fetchval("select payload from parked")
    await world.feed(world.tombstone(order.id))
    for planted in ("3-302", "诸葛长乐", order.recipient.name, order.recipient.phone, order.code):
        assert await world.tables_with(planted) == set(), planted
    assert await sync(first, done) == ["repeated", "repeated"]
    assert await sync(upload(4, "fail", order, **words)) == ["stale"]
    assert await world.tables_with("3-302") == set()
    assert await sync(unread) == ["kept"]
    gone = await world.pool.fetchrow("select why, payload from parked")
    assert tuple(gone) == ("the person in it was erased", None)
    assert await world.pool.fetchval("select count(*) from parked_scope") == 0
    rows = await world.pool.fetch("select seq, body::text, erased_at, digest from sequenced order by seq")
    assert [(row["seq"], row["body"]) for row in rows] == [(n, "{}") for n in (1, 2, 3, 4)]
    assert all(row["erased_at"] and row["digest"] for row in rows)


async def test_a_recipient_that_dispatch_could_not_read_is_forgotten_too(world: World):
    order = Order(n=8)
    (processor,) = (one for one in SERVICE.processors(world.context) if one.source.subscription.topic == TOPIC)
    text = '{"name": "诸葛长乐", "phone": 13907312006}'
    await processor.handle([world.record(order.recipient)._replace(value=text.encode())])
    assert await world.pool.fetchval("select payload from parked") == text.encode()
    await processor.handle([world.tombstone(order.id)])
    assert await world.pool.fetchval("select count(*) from parked where payload is not null") == 0
    assert await world.pool.fetchval('select erased from recipient where "order" = $1', order.id)
