"""A small market day on the whole stack, over HTTP: something of everything that the audit looks at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2

from deploy.audit.evidence.evidence import Evidence
from deploy.local.processes.child import wait_until
from deploy.local.stack import Stack

DAY, POOL, TILL, RIDER, WAVE = "sat", "sat@square", "till-1", "rider-1", "sat-1"
PHONE = "13807314711"
NOW = datetime.now(UTC)


class Person(NamedTuple):
    """The recipient of an order, and the door."""

    name: str
    phone: str
    door: str


SHE, HE = Person("欧阳锦绣", PHONE, "梅溪湖路88号2栋"), Person("诸葛长乐", "13907312006", "枫林三路7号5栋")


def after(hours: float) -> str:
    """An instant so many hours from the beginning, as text."""
    return (NOW + timedelta(hours=hours)).isoformat()


def catalogue() -> list[tuple[str, dict[str, Any]]]:
    """Everything that is put, in an order in which it may be."""
    place = {"name_zh": "镇", "lat": 28.2, "lon": 112.9}
    wave = {"station": "depot", "slot_from": after(12), "slot_until": after(15), "cutoff": after(11), "capacity": 50}
    day = {"date": f"{NOW + timedelta(days=1):%Y-%m-%d}", "opens_at": after(-1), "closes_at": after(10)}
    sites = [{"site": "square", "communities": ["qifeng"]}]
    return [
        ("stations/depot", place),
        ("villages/hill", place),
        ("communities/qifeng", place),
        ("sites/square", {**place, "station": "depot"}),
        ("households/h1", {"village": "hill", "label": "139-0000-1234"}),
        ("points/gate", {"community": "qifeng", "name_zh": "东门"}),
        (f"terminals/{TILL}", {"site": "square"}),
        (f"couriers/{RIDER}", {"station": "depot", "capacity_g": 100_000}),
        *((f"items/{item}", {"name_zh": item, "unit": "piece", "unit_g": 10}) for item in ("apples", "truffles")),
        *(
            (f"prices/{item}-{by}", {"item": item, "channel": by, "price_fen": 250, "effective_from": after(-24)})
            for item, by in (("apples", "app"), ("truffles", "app"), ("truffles", "group"))
        ),
        (f"market-days/{DAY}", {**day, "sites": sites, "waves": [{**wave, "id": WAVE}]}),
    ]


class SmallDay:
    """Played by `play`; the ids of its orders by what becomes of them are in `orders`, of its sales in `sales`."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.endpoints = stack.endpoints()
        self.orders: dict[str, str] = {}
        self.campaign = str(uuid4())
        self.sales = {"kept": str(uuid4()), "voided": str(uuid4())}
        self.lots = {"apples": str(uuid4()), "truffles": str(uuid4())}
        self.evidence: Evidence  # what the audit read of it, set by the fixture
        self._http = httpx2.Client(timeout=20, trust_env=False)

    def ask(self, service: str, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """The answer's JSON; asked again while the service says that it does not know something yet."""
        headers = {"Authorization": f"Bearer {self.endpoints['tokens']['operator']}"}
        headers |= {"Idempotency-Key": key} if key else {}
        found: list[httpx2.Response] = []

        def answered() -> bool:
            url = f"{self.endpoints['http'][service]}/v1/{path}"
            found.append(self._http.request(method, url, json=body, headers=headers))
            return found[-1].status_code != 503

        assert wait_until(answered, 20), found[-1].text
        assert found[-1].is_success, f"{method} {path}: {found[-1].text}"
        return found[-1].json() if found[-1].content else None

    def order(
        self, name: str, *, item: str = "apples", quantity: int = 2, pickup: bool = False, pay: str, who: Person = SHE
    ) -> None:
        """Places an order and remembers it under a name."""
        id = str(uuid4())
        door = {"kind": "delivery", "address": {"text": who.door, "lat": 28.2, "lon": 112.9}}
        body = {
            "order_id": id,
            "channel": "app",
            "market_day": DAY,
            "community": "qifeng",
            "recipient": {"name": who.name, "phone": who.phone},
            "lines": [{"item": item, "quantity": quantity}],
            "fulfilment": {"kind": "pickup", "point": "gate"} if pickup else door,
            "payment": pay,
        }
        self.ask("orders", "POST", "orders", body)
        self.orders[name] = id

    def state(self, name: str) -> Any:
        """Return the state of an order."""
        return self.ask("orders", "GET", f"orders/{self.orders[name]}")["state"]

    def become(self, name: str, *states: str) -> None:
        """Waits until the order is in one of the states."""
        assert wait_until(lambda: self.state(name) in states, 30), (name, self.state(name))

    def play(self) -> None:
        """The whole day. On return every order but `open` has ended."""
        for path, body in catalogue():
            self.ask("orders", "PUT", f"catalog/{path}", body)
        self._morning()
        self._group_buy()
        self.order("delivered", quantity=3, pay="prepaid", who=HE)
        self.order("returned", pay="prepaid")
        self.order("cancelled", pay="prepaid")
        self.order("rejected", item="truffles", quantity=6, pay="prepaid")
        self.order("collected", pickup=True, pay="pending")
        self.order("open", pickup=True, pay="on_account")
        self._stall()
        self._pickup()
        self.become("cancelled", "scheduled")
        self.ask("orders", "POST", f"orders/{self.orders['cancelled']}:cancel", {"reason": "changed my mind"})
        self._deliver()
        for name in ("delivered", "returned", "cancelled", "rejected", "collected"):
            self.become(name, name)
        self.become("open", "reserved")
        assert wait_until(lambda: self._joins("ordered", 3), 30)

    def _morning(self) -> None:
        for item, quantity in (("apples", 100), ("truffles", 8)):
            goods = {"pool": POOL, "item": item, "quantity": quantity}
            lot = {"lot_id": self.lots[item], "household": "h1", "harvested_at": after(-5)}
            self.ask("inventory", "POST", "lots", goods | lot)
        for item, passed in (("apples", 90), ("truffles", 5)):
            result = {"result": "pass", "quantity": passed, "reason": "damaged"}
            self.ask("inventory", "POST", f"lots/{self.lots[item]}:inspect", result, key=str(uuid4()))
        loan = {"terminal": TILL, "pool": POOL, "item": "apples", "quantity": 20, "lease_until": after(8)}
        self.ask("inventory", "POST", "allotments", loan, key=str(uuid4()))

    def _group_buy(self) -> None:
        """Seven truffles are pledged, five are there: two joins are served, one in part, one was taken back."""
        soon = datetime.now(UTC) + timedelta(seconds=10)
        terms = {"market_day": DAY, "community": "qifeng", "closes_at": soon.isoformat()}
        goods = [{"item": "truffles", "quantity": 9}]
        rule = {"threshold": {"of": "people", "at_least": 2}, "shortfall": "first-come"}
        self.ask("orders", "POST", "campaigns", {"campaign_id": self.campaign, **terms, "goods": goods, **rule})
        joins = []
        for n, (quantity, pay) in enumerate(((2, "prepaid"), (1, "on_account"), (2, "prepaid"), (3, "prepaid"))):
            body = {
                "recipient": {"name": "司徒静怡", "phone": f"1390000000{n}"},
                "lines": [{"item": "truffles", "quantity": quantity}],
                "fulfilment": {"kind": "pickup", "point": "gate"},
                "payment": pay,
            }
            joins.append(self.ask("orders", "POST", f"campaigns/{self.campaign}/joins", body, key=str(uuid4())))
        self.ask("orders", "POST", f"campaigns/{self.campaign}/joins/{joins[1]['join_id']}:cancel")

    def _joins(self, state: str, count: int) -> bool:
        found = self.ask("orders", "GET", f"campaigns/{self.campaign}/joins")["items"]
        return [join["state"] for join in found].count(state) == count

    def _stall(self) -> None:
        lines = [{"item": "apples", "quantity": 4, "amount_fen": 1000}]
        deeds = [("open", {}), *(("sale", {"sale": sale, "lines": lines}) for sale in self.sales.values())]
        deeds += [("void", {"sale": self.sales["voided"]}), ("close", {"last_seq": 5})]
        uploads = [
            {"session": "s", "seq": n, "recorded_at": after(0), "kind": kind, "body": body}
            for n, (kind, body) in enumerate(deeds, 1)
        ]
        for _ in range(2):
            self.ask("orders", "POST", f"terminals/{TILL}/sync", {"device": "d", "market_day": DAY, "uploads": uploads})
        back = {"terminal": TILL, "pool": POOL, "item": "apples", "quantity": 15}
        self.ask("inventory", "POST", "allotments:return", back, key=str(uuid4()))
        waste = {"pool": POOL, "item": "apples", "quantity": 1, "lot": self.lots["apples"]}
        self.ask("inventory", "POST", "waste", waste, key=str(uuid4()))

    def _pickup(self) -> None:
        self.become("collected", "held")
        path = f"orders/{self.orders['collected']}"
        self.ask("orders", "POST", f"{path}:pay", {"payment_id": "p-1", "amount_fen": 500})
        self.become("collected", "reserved")
        self.ask("orders", "POST", f"{path}:ready")
        code = self.ask("orders", "GET", path)["code"]
        self.ask("orders", "POST", f"{path}:collect", {"code": code})

    def _deliver(self) -> None:
        for name in ("delivered", "returned"):
            self.become(name, "scheduled")
        shift = {"wave": WAVE, "from": after(11), "until": after(20)}
        self.ask("dispatch", "POST", f"couriers/{RIDER}/shifts", shift, key=str(uuid4()))
        self.ask("dispatch", "POST", f"waves/{WAVE}:cut")
        assert wait_until(lambda: self.ask("dispatch", "GET", f"waves/{WAVE}")["state"] == "planned", 30)
        self.ask("dispatch", "POST", f"waves/{WAVE}:release")
        uploads = []
        for stop in self.ask("dispatch", "GET", f"couriers/{RIDER}/route")["stops"]:
            order = self.ask("orders", "GET", f"orders/{stop['order']}")
            last = ("deliver", {"code": order["code"], "note": f"to {HE.name} himself"})
            if stop["order"] == self.orders["returned"]:
                last = ("return", {"reason": "nobody at home"})
            for kind, more in (("load", {}), last):
                body = {"job": stop["job"], "epoch": stop["epoch"], **more}
                known = {"session": "s", "seq": len(uploads) + 1, "recorded_at": after(0)}
                uploads.append({**known, "kind": kind, "body": body})
        self.ask("dispatch", "POST", f"couriers/{RIDER}/sync", {"device": "phone", "uploads": uploads})
