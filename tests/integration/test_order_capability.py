"""Orders of clients without an account: each is opened by its own capability, which is stored nowhere."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.events import inventory as i
from services.orders.app import SERVICE
from services.orders.domain.capability import CapabilityKey
from tests.integration.callers import Callers
from tests.integration.documented import check_documented
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
KEY = "k" * 64


@pytest.fixture
async def orders(stack: TestStack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orders]:
    monkeypatch.setenv("HALFDAY_CAPABILITY_KEY", KEY)
    async with open_orders(stack) as found:
        yield found


def digest_of(secret: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=").decode()


LIN, WU = digest_of("the secret of Lin"), digest_of("the secret of Wu")


async def visit(orders: Orders, who: str | None = LIN, query: str = "", key: str = "", **more: Any) -> httpx2.Response:
    """Place an order without a token."""
    body = an_order(payment="pending", **more) | ({"owner_digest": who} if who else {})
    headers = {"Idempotency-Key": key} if key else {}
    answer = await orders.client.post(f"/v1/orders{query}", json=body, headers=headers)
    check_documented(SERVICE.routes, answer)
    return answer


async def show(
    orders: Orders, secret: str, method: str, path: str, body: Any = None, headers: Any = None
) -> httpx2.Response:
    headers = {"Authorization": f"Capability {secret}", **(headers or {})}
    return await orders.client.request(method, f"/v1{path}", json=body, headers=headers)


async def placed(orders: Orders, who: str = LIN, **more: Any) -> tuple[str, str]:
    """The id and the capability of a new order."""
    answer = await visit(orders, who, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()["order_id"], answer.json()["capability"]


async def test_the_capability_reads_and_cancels_its_order(orders: Orders) -> None:
    order, secret = await placed(orders)
    assert secret == CapabilityKey(KEY.encode()).secret(UUID(order))
    found = await show(orders, secret, "GET", f"/orders/{order}")
    assert found.headers["cache-control"] == "no-store"
    assert (found.json()["recipient"]["name"], len(found.json()["code"])) == ("李姐", 6)
    through = {"Forwarded": 'for="203.0.113.9:4711";host="halfday.lan";proto=https'}
    assert (await show(orders, secret, "GET", f"/orders/{order}/history", headers=through)).status_code == 200
    cancelled = await show(orders, secret, "POST", f"/orders/{order}:cancel", {"reason": "changed-mind"})
    assert cancelled.json()["state"] == "cancelling"


async def test_a_repeat_gets_the_same_capability_on_the_fast_path_and_the_route(orders: Orders) -> None:
    id = str(uuid4())
    answers = [await visit(orders, query=query, order_id=id) for query in ("", "", "?unusual=1")]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    routed = await visit(orders, query="?unusual=1")
    assert (await show(orders, routed.json()["capability"], "GET", f"/orders/{routed.json()['order_id']}")).is_success


async def test_a_capability_opens_nothing_else(orders: Orders) -> None:
    order, secret = await placed(orders)
    others = [(await placed(orders, who))[0] for who in (LIN, WU)]
    bought = str(await orders.place(payment="pending"))
    for id in (*others, bought, str(uuid4()), "x"):
        assert (await show(orders, secret, "GET", f"/orders/{id}")).status_code == 401
        assert (await show(orders, secret, "POST", f"/orders/{id}:cancel")).status_code == 401
    wrong = [secret[:-1], secret[:-2] + "AA", secret.swapcase(), "x", order]
    assert {(await show(orders, one, "GET", f"/orders/{order}")).status_code for one in wrong} == {401}
    for method, path in (("POST", "/orders"), ("POST", "/orders:batch"), ("GET", "/orders"), ("GET", "/catalog/items")):
        assert (await show(orders, secret, method, path, {})).status_code == 401, path
    for action, body in (("pay", {"payment_id": "p", "amount_fen": 1}), ("refund", None), ("ready", None)):
        assert (await show(orders, secret, "POST", f"/orders/{order}:{action}", body)).status_code == 403
    assert (await show(orders, secret, "POST", f"/orders/{order}:collect", {"code": "123456"})).status_code == 404
    # No one is given the capability of an order with an account; if they were, it would open nothing.
    forged = CapabilityKey(KEY.encode()).secret(UUID(bought))
    assert (await show(orders, forged, "GET", f"/orders/{bought}")).status_code == 404
    assert (await show(orders, forged, "POST", f"/orders/{bought}:cancel")).status_code == 404


async def test_an_order_without_a_token_needs_a_digest_and_is_pending(orders: Orders) -> None:
    for query in ("", "?unusual=1"):
        answer = await visit(orders, None, query)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        for payment in ("prepaid", "on_account"):
            body = an_order(payment=payment, owner_digest=LIN)
            refused = await orders.client.post(f"/v1/orders{query}", json=body)
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["pointer"] == "#/payment"
    assert (await visit(orders, "short")).status_code == 422
    wrong = await orders.client.post("/v1/orders", json=an_order(), headers={"Authorization": "Bearer nobody"})
    assert wrong.status_code == 401
    assert await orders.context.pool.fetchval("select count(*) from orders") == 0


async def test_an_account_sends_no_digest_and_a_local_token_may(orders: Orders) -> None:
    body = an_order(payment="pending", owner_digest=LIN)
    status, problem = await Callers(SERVICE, orders.context).call("resident.anna", "POST", "/orders", body)
    assert (status, problem["errors"][0]["pointer"]) == (422, "#/owner_digest")
    answer = (await orders.post("/v1/orders", body)).json()
    assert (await show(orders, answer["capability"], "GET", f"/orders/{answer['order_id']}")).status_code == 200
    batch = (await orders.post("/v1/orders:batch", [body])).json()["answers"][0]["order"]
    assert (await show(orders, batch["capability"], "GET", f"/orders/{batch['order_id']}")).status_code == 200
    assert "capability" not in (await orders.post("/v1/orders", an_order())).json()


async def test_an_id_or_key_belongs_to_its_digest(orders: Orders) -> None:
    first, again, other = [await visit(orders, who, key="basket-1") for who in (LIN, LIN, WU)]
    assert first.content == again.content
    assert first.json()["order_id"] != other.json()["order_id"]
    order, _ = await placed(orders)
    for honey in (2, 3):
        taken = await visit(orders, WU, order_id=order, lines=[{"item": "honey", "quantity": honey}])
        assert taken.status_code == 409
        assert "capability" not in taken.json()
    assert await orders.context.pool.fetchval("select count(*) from order_conflict") == 0
    assert (await visit(orders, order_id=order, lines=[{"item": "honey", "quantity": 9}])).status_code == 409
    assert await orders.context.pool.fetchval("select count(*) from order_conflict") == 1


async def test_neither_digest_nor_capability_is_stored(orders: Orders) -> None:
    order, secret = await placed(orders)
    await visit(orders, order_id=order, lines=[{"item": "honey", "quantity": 9}])  # a conflict, which is kept
    await show(orders, secret, "GET", f"/orders/{order}")
    await show(orders, secret, "POST", f"/orders/{order}:cancel")
    tables = await orders.context.pool.fetch(
        "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'"
    )
    for row in tables:
        text = json.dumps([r[0] for r in await orders.context.pool.fetch(f"select t::text from {row[0]} t")])
        assert LIN not in text, row[0]
        assert secret not in text, row[0]


async def test_a_capability_lapses_thirty_days_after_the_end(orders: Orders) -> None:
    order, secret = await placed(orders)
    orders.clock.set(orders.clock.now() + timedelta(days=40))
    assert (await show(orders, secret, "GET", f"/orders/{order}")).status_code == 200  # it has not ended
    (ask,) = await orders.published("inventory.command.v1")
    claim = {name: getattr(ask, name) for name in ("reservation", "pool", "order")}
    await orders.hear(i.StockRefused(**claim, reason="short"))
    ended_at = orders.clock.now()
    orders.clock.set(ended_at + timedelta(days=30) - timedelta(seconds=1))
    assert (await show(orders, secret, "GET", f"/orders/{order}")).json()["state"] == "rejected"
    assert (await show(orders, secret, "POST", f"/orders/{order}:cancel")).status_code == 409
    orders.clock.set(ended_at + timedelta(days=30))
    for method, path in (("GET", ""), ("GET", "/history"), ("POST", ":cancel")):
        assert (await show(orders, secret, method, f"/orders/{order}{path}")).status_code == 404


async def test_a_deployment_without_a_key_knows_no_visitors(stack: TestStack) -> None:
    async with open_orders(stack) as orders:
        assert (await visit(orders)).status_code == 401
        empty = CapabilityKey(b"").secret(UUID(int=5))
        assert (await show(orders, empty, "GET", f"/orders/{UUID(int=5)}")).status_code == 401
