"""Every request of the market's actors, with its body. Quantities are in the item's unit, times aware."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from deploy.scenarios.actors.client import Request, Role

Body = dict[str, Any]
Id = UUID | str
PERSON: Mapping[str, str] = {"name": "某人", "phone": "13800000000"}


def goods(item: str, amount: int, *, weighed: bool = False) -> Body:
    """Return an amount of an item: pieces, or grams of weighed goods."""
    return {"item": item, "weight_g" if weighed else "quantity": amount}


def amount_of(line: Mapping[str, Any]) -> int:
    """Return the pieces or grams of a line."""
    return int(line["weight_g"] if "weight_g" in line else line["quantity"])


def pickup(point: str) -> Body:
    """Return the fulfilment at a pickup point."""
    return {"kind": "pickup", "point": point}


def delivery(text: str, lat: float, lon: float, quote: Any = None) -> Body:
    """Return the fulfilment at an address (WGS-84), with a quote as `promise` returned it."""
    found = {"kind": "delivery", "address": {"text": text, "lat": lat, "lon": lon}}
    return found | ({"quote": quote} if quote else {})


def order(
    id: Id,
    channel: str,
    market_day: str,
    community: str,
    lines: Sequence[Body],
    fulfilment: Body,
    payment: str,
    recipient: Mapping[str, str] = PERSON,
) -> Body:
    """Return an order, to be placed alone or in a batch."""
    return {
        "order_id": str(id),
        "channel": channel,
        "market_day": market_day,
        "community": community,
        "recipient": recipient,
        "lines": lines,
        "fulfilment": fulfilment,
        "payment": payment,
    }


def pledge(lines: Sequence[Body], fulfilment: Body, payment: str, recipient: Mapping[str, str] = PERSON) -> Body:
    """Return the content of a join, to be sent alone or as an entry of a list."""
    return {"recipient": recipient, "lines": lines, "fulfilment": fulfilment, "payment": payment}


def read(role: Role, service: str, path: str, **query: Any) -> Request:
    """Return a GET; parts of the query that are None are left out."""
    wanted = {name: value for name, value in query.items() if value is not None}
    return Request(role, service, "GET", f"{path}?{urlencode(wanted)}" if wanted else path)


# --- buyers


def place(body: Body) -> Request:
    """Place an order."""
    return Request("buyer", "orders", "POST", "/v1/orders", body)


def place_batch(bodies: Sequence[Body]) -> Request:
    """Place the orders of a chat group, each judged on its own."""
    return Request("buyer", "orders", "POST", "/v1/orders:batch", bodies)


def read_order(order: Id, wait: float | None = None) -> Request:
    """Read an order as its buyer; `wait`: seconds for it to leave `placed`."""
    return read("buyer", "orders", f"/v1/orders/{order}", wait=wait)


def pay(order: Id, payment: str, amount_fen: int) -> Request:
    """Report a payment under the payer's id of it."""
    body = {"payment_id": payment, "amount_fen": amount_fen}
    return Request("buyer", "orders", "POST", f"/v1/orders/{order}:pay", body)


def cancel(order: Id, reason: str | None = None) -> Request:
    """Cancel an order."""
    body = {"reason": reason} if reason else None
    return Request("buyer", "orders", "POST", f"/v1/orders/{order}:cancel", body)


def collect(order: Id, code: str) -> Request:
    """Get an order at its point against its code."""
    return Request("buyer", "orders", "POST", f"/v1/orders/{order}:collect", {"code": code})


def promise(community: str, market_day: str) -> Request:
    """Ask for the slot that a delivery ordered now would get."""
    return read("buyer", "dispatch", "/v1/promises", community=community, market_day=market_day)


# --- leaders of group-buys and pickup points


def ready(order: Id) -> Request:
    """Mark an order as arrived at its point."""
    return Request("leader", "orders", "POST", f"/v1/orders/{order}:ready")


def open_campaign(
    id: Id,
    market_day: str,
    community: str,
    closes_at: datetime,
    goods: Sequence[Body],
    threshold: Mapping[str, Any],
    shortfall: str = "first-come",
) -> Request:
    """Open a group-buy; the quantity of each of its goods is the cap."""
    body = {
        "campaign_id": str(id),
        "market_day": market_day,
        "community": community,
        "closes_at": closes_at.isoformat(),
        "goods": goods,
        "threshold": threshold,
        "shortfall": shortfall,
    }
    return Request("leader", "orders", "POST", "/v1/campaigns", body)


def read_campaign(campaign: Id) -> Request:
    """Read a group-buy."""
    return read("leader", "orders", f"/v1/campaigns/{campaign}")


def read_joins(campaign: Id) -> Request:
    """Read the joins of a group-buy, in their order."""
    return read("leader", "orders", f"/v1/campaigns/{campaign}/joins", limit=500)


def read_join(campaign: Id, join: Id) -> Request:
    """Read a join; once it is an order, with the order's id."""
    return read("leader", "orders", f"/v1/campaigns/{campaign}/joins/{join}")


def join(campaign: Id, id: Id, pledge: Body) -> Request:
    """Join a group-buy."""
    return Request("buyer", "orders", "POST", f"/v1/campaigns/{campaign}/joins", {"join_id": str(id), **pledge})


def withdraw(campaign: Id, join: Id) -> Request:
    """Withdraw a join."""
    return Request("buyer", "orders", "POST", f"/v1/campaigns/{campaign}/joins/{join}:cancel")


def send_list(campaign: Id, chat: str, pledges: Sequence[Body]) -> Request:
    """Send a chat's numbered list: each entry is a join."""
    entries = [{"entry": n, **pledge} for n, pledge in enumerate(pledges, 1)]
    return Request("leader", "orders", "POST", f"/v1/campaigns/{campaign}/relay", {"chat": chat, "entries": entries})


# --- devices


def sync_terminal(
    terminal: str, device: str, market_day: str, uploads: Sequence[Body], seal: Mapping[str, str] = MappingProxyType({})
) -> Request:
    """Upload records of a stall's terminal; `seal` has the fields that sign them."""
    body = {"device": device, "market_day": market_day, "uploads": uploads, **seal}
    return Request("terminal", "orders", "POST", f"/v1/terminals/{terminal}/sync", body)


def sync_courier(
    courier: str, device: str, uploads: Sequence[Body], seal: Mapping[str, str] = MappingProxyType({})
) -> Request:
    """Upload records of a courier's phone; `seal` has the fields that sign them."""
    body = {"device": device, "uploads": uploads, **seal}
    return Request("courier", "dispatch", "POST", f"/v1/couriers/{courier}/sync", body)


def read_route(courier: str) -> Request:
    """Read the jobs of a courier in the order of their times."""
    return read("courier", "dispatch", f"/v1/couriers/{courier}/route")


def enrolment(kind: Role, id: str, places: Mapping[str, list[str]]) -> Request:
    """Make a code for the device of a terminal or courier at these places."""
    return Request("operator", "access", "POST", "/v1/enrolments", {"kind": kind, "id": id, **places})


def enrol(kind: Role, code: str, key: Mapping[str, str], proof: str) -> Request:
    """Enrol a device by its code and public key (JWK); the proof is the key's signature."""
    return Request(kind, "access", "POST", "/v1/devices", {"code": code, "key": key, "proof": proof})


def token(kind: Role, assertion: str) -> Request:
    """Get an access token for a device's assertion."""
    body = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    return Request(kind, "access", "POST", "/v1/token", body)


# --- dispatchers


def read_waves() -> Request:
    """Read the first waves of the list."""
    return read("operator", "dispatch", "/v1/waves", limit=100)


def read_wave(wave: str) -> Request:
    """Read a wave."""
    return read("operator", "dispatch", f"/v1/waves/{wave}")


def cut(wave: str) -> Request:
    """Cut a wave, which is then planned."""
    return Request("operator", "dispatch", "POST", f"/v1/waves/{wave}:cut", key=f"{wave}-cut")


def release(wave: str) -> Request:
    """Hand out the routes of a planned wave."""
    return Request("operator", "dispatch", "POST", f"/v1/waves/{wave}:release", key=f"{wave}-release")


def reassign(job: Id, courier: str, epoch: int) -> Request:
    """Give a job that is handed out in this epoch to another courier."""
    body = {"courier": courier, "expected_epoch": epoch}
    return Request("operator", "dispatch", "POST", f"/v1/jobs/{job}:reassign", body)


# --- the operator


def put_entry(kind: str, id: str, body: Body) -> Request:
    """Put a catalogue entry."""
    return Request("operator", "orders", "PUT", f"/v1/catalog/{kind}/{id}", body)


def receive_lot(
    id: Id, pool: str, goods: Body, household: str, harvested_at: datetime, sell_by: datetime | None = None
) -> Request:
    """Receive a household's lot."""
    body = {"lot_id": str(id), "pool": pool, **goods, "household": household, "harvested_at": harvested_at.isoformat()}
    return _inventory("/v1/lots", body | ({"sell_by": sell_by.isoformat()} if sell_by else {}))


def inspect_lot(id: Id, result: str = "pass", quantity: int | None = None) -> Request:
    """Record the result of a lot's inspection; `quantity` passed, by default all."""
    body = {"result": result} | ({} if quantity is None else {"quantity": quantity})
    return Request("operator", "inventory", "POST", f"/v1/lots/{id}:inspect", body, f"{id}-inspected")


def lend(id: Id, pool: str, terminal: str, goods: Body, lease_until: datetime) -> Request:
    """Lend stock to a terminal."""
    body = {"allotment_id": str(id), "pool": pool, "terminal": terminal, **goods}
    return _inventory("/v1/allotments", body | {"lease_until": lease_until.isoformat()})


def renew(pool: str, terminal: str, item: str, lease_until: datetime) -> Request:
    """Renew the lease of a terminal's stock of an item."""
    body = {"pool": pool, "terminal": terminal, "item": item, "lease_until": lease_until.isoformat()}
    return _inventory("/v1/allotments:renew", body)


def give_back(id: Id, pool: str, terminal: str, goods: Body) -> Request:
    """Count goods back from a terminal."""
    return _inventory("/v1/allotments:return", {"return_id": str(id), "pool": pool, "terminal": terminal, **goods})


def move(id: Id, pool: str, terminals: tuple[str, str], goods: Body, lease_until: datetime) -> Request:
    """Move lent stock from the first terminal to the second."""
    body = {"move_id": str(id), "pool": pool, "from_terminal": terminals[0], "to_terminal": terminals[1], **goods}
    return _inventory("/v1/allotments:move", body | {"lease_until": lease_until.isoformat()})


def waste(id: Id, pool: str, goods: Body, reason: str) -> Request:
    """Write off goods of a pool."""
    return _inventory("/v1/waste", {"waste_id": str(id), "pool": pool, **goods, "reason": reason})


def count(id: Id, pool: str, item: str, counted: int, counted_at: datetime) -> Request:
    """Record the counted quantity of an item."""
    body = {"count_id": str(id), "pool": pool, "item": item, "counted": counted, "counted_at": counted_at.isoformat()}
    return _inventory("/v1/counts", body)


def close_item(pool: str, item: str) -> Request:
    """Sell no more of an item."""
    return Request("operator", "inventory", "POST", f"/v1/pools/{pool}/items/{item}:sold-out")


def reopen_item(pool: str, item: str) -> Request:
    """Sell an item again that was closed."""
    return Request("operator", "inventory", "DELETE", f"/v1/pools/{pool}/items/{item}:sold-out")


def _inventory(path: str, body: Body) -> Request:
    return Request("operator", "inventory", "POST", path, body)
