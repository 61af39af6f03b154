"""A small market day on the whole stack, over HTTP: something of everything that the audit looks at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2

from deploy.audit.evidence.evidence import Evidence
from deploy.local.processes.child import wait_until
from deploy.local.stack import Stack
from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Request
from deploy.scenarios.actors.devices import Device
from deploy.scenarios.actors.requests import goods
from tests.small_market import HOUSEHOLD, SmallMarket, wave

DAY, POOL, TILL, RIDER, WAVE = "sat", "sat@square", "till-1", "rider-1", "sat-1"
PHONE = "13807314711"
NOW = datetime.now(UTC)


class Person(NamedTuple):
    """The recipient of an order, and the door."""

    name: str
    phone: str
    door: str


SHE, HE = Person("欧阳锦绣", PHONE, "梅溪湖路88号2栋"), Person("诸葛长乐", "13907312006", "枫林三路7号5栋")


def after(hours: float) -> datetime:
    """An instant so many hours from the beginning."""
    return NOW + timedelta(hours=hours)


def catalogue() -> SmallMarket:
    """Everything that is put."""
    return SmallMarket(
        day=DAY,
        date=after(24).date(),
        opens_at=after(-1),
        closes_at=after(10),
        prices_since=after(-24),
        price_fen=250,
        sites={"square": "qifeng"},
        points={"gate": "qifeng"},
        items={item: {"unit": "piece", "unit_g": 10} for item in ("apples", "truffles")},
        channels=("app", "group"),
        terminals={TILL: "square"},
        couriers=[RIDER],
        waves=[wave(WAVE, after(11), (after(12), after(15)), 50)],
    )


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

    def ask(self, request: Request) -> Any:
        """The answer's JSON; asked again while the service says that it does not know something yet."""
        headers = {"Authorization": f"Bearer {self.endpoints['tokens']['operator']}"}
        headers |= {"Idempotency-Key": request.key} if request.key else {}
        found: list[httpx2.Response] = []

        def answered() -> bool:
            url = self.endpoints["http"][request.service] + request.path
            found.append(self._http.request(request.method, url, json=request.body, headers=headers))
            return found[-1].status_code != 503

        assert wait_until(answered, 20), found[-1].text
        assert found[-1].is_success, f"{request.title}: {found[-1].text}"
        return found[-1].json() if found[-1].content else None

    def order(
        self, name: str, *, item: str = "apples", quantity: int = 2, pickup: bool = False, pay: str, who: Person = SHE
    ) -> None:
        """Places an order and remembers it under a name."""
        self.orders[name] = id = str(uuid4())
        where = requests.pickup("gate") if pickup else requests.delivery(who.door, 28.2, 112.9)
        recipient = {"name": who.name, "phone": who.phone}
        lines = [goods(item, quantity)]
        self.ask(requests.place(requests.order(id, "app", DAY, "qifeng", lines, where, pay, recipient)))

    def state(self, name: str) -> Any:
        """Return the state of an order."""
        return self.ask(requests.read_order(self.orders[name]))["state"]

    def become(self, name: str, *states: str) -> None:
        """Waits until the order is in one of the states."""
        assert wait_until(lambda: self.state(name) in states, 30), (name, self.state(name))

    def play(self) -> None:
        """The whole day. On return every order but `open` has ended."""
        for kind, id, body in catalogue().entries():
            label = {"label": "139-0000-1234"} if kind == "households" else {}
            self.ask(requests.put_entry(kind, id, body | label))
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
        self.ask(requests.cancel(self.orders["cancelled"], "changed my mind"))
        self._deliver()
        for name in ("delivered", "returned", "cancelled", "rejected", "collected"):
            self.become(name, name)
        self.become("open", "reserved")
        assert wait_until(lambda: self._joins("ordered", 3), 30)

    def _morning(self) -> None:
        for item, quantity in (("apples", 100), ("truffles", 8)):
            self.ask(requests.receive_lot(self.lots[item], POOL, goods(item, quantity), HOUSEHOLD, after(-5)))
        for item, passed in (("apples", 90), ("truffles", 5)):
            self.ask(requests.inspect_lot(self.lots[item], quantity=passed))
        self.ask(requests.lend(uuid4(), POOL, TILL, goods("apples", 20), after(8)))

    def _group_buy(self) -> None:
        """Seven truffles are pledged, five are there: two joins are served, one in part, one was taken back."""
        soon, threshold = datetime.now(UTC) + timedelta(seconds=10), {"of": "people", "at_least": 2}
        cap = [goods("truffles", 9)]
        self.ask(requests.open_campaign(self.campaign, DAY, "qifeng", soon, cap, threshold))
        joins = [uuid4() for _ in range(4)]
        for n, (quantity, pay) in enumerate(((2, "prepaid"), (1, "on_account"), (2, "prepaid"), (3, "prepaid"))):
            who = {"name": "司徒静怡", "phone": f"1390000000{n}"}
            pledge = requests.pledge([goods("truffles", quantity)], requests.pickup("gate"), pay, who)
            self.ask(requests.join(self.campaign, joins[n], pledge))
        self.ask(requests.withdraw(self.campaign, joins[1]))

    def _joins(self, state: str, count: int) -> bool:
        found = self.ask(requests.read_joins(self.campaign))["items"]
        return [join["state"] for join in found].count(state) == count

    def _stall(self) -> None:
        device, lines = Device(f"terminal/{TILL}", "d", "s"), [{**goods("apples", 4), "amount_fen": 1000}]
        device.record("open", NOW, {})
        for sale in self.sales.values():
            device.record("sale", NOW, {"sale": sale, "lines": lines})
        device.record("void", NOW, {"sale": self.sales["voided"]})
        device.record("close", NOW, {"last_seq": 5})
        for _ in range(2):
            self.ask(requests.sync_terminal(TILL, "d", DAY, device.recorded))
        self.ask(requests.give_back(uuid4(), POOL, TILL, goods("apples", 15)))
        self.ask(requests.waste(uuid4(), POOL, goods("apples", 1) | {"lot": self.lots["apples"]}, "other"))

    def _pickup(self) -> None:
        self.become("collected", "held")
        id = self.orders["collected"]
        self.ask(requests.pay(id, "p-1", 500))
        self.become("collected", "reserved")
        self.ask(requests.ready(id))
        self.ask(requests.collect(id, self.ask(requests.read_order(id))["code"]))

    def _deliver(self) -> None:
        for name in ("delivered", "returned"):
            self.become(name, "scheduled")
        shift = {"wave": WAVE, "from": after(11).isoformat(), "until": after(20).isoformat()}
        self.ask(Request("courier", "dispatch", "POST", f"/v1/couriers/{RIDER}/shifts", shift, str(uuid4())))
        self.ask(requests.cut(WAVE))
        assert wait_until(lambda: self.ask(requests.read_wave(WAVE))["state"] == "planned", 30)
        self.ask(requests.release(WAVE))
        phone = Device(f"courier/{RIDER}", "phone", "s")
        for stop in self.ask(requests.read_route(RIDER))["stops"]:
            job = {"job": stop["job"], "epoch": stop["epoch"]}
            phone.record("load", NOW, job)
            if stop["order"] == self.orders["returned"]:
                phone.record("return", NOW, job | {"reason": "nobody at home"})
            else:
                code = self.ask(requests.read_order(stop["order"]))["code"]
                phone.record("deliver", NOW, job | {"code": code, "note": f"to {HE.name} himself"})
        self.ask(requests.sync_courier(RIDER, "phone", phone.recorded))
