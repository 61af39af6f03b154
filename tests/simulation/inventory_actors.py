"""The operator of inventory: receives lots, lends stock to stalls, counts, wastes, closes and reopens."""

from __future__ import annotations

from typing import Any

from services.inventory.api import allotment, stock
from services.inventory.api import lot as lots
from services.inventory.api.schemas.allotment import AllotmentIn, MoveIn, Renewal, ReturnIn
from services.inventory.api.schemas.lot import Inspection, LotIn
from services.inventory.api.schemas.stock import CountIn, WasteIn
from services.kit.http.problems import Problem
from tests.simulation.market import DAY, ITEMS, POOLS, TERMINALS, Market, goods, hour
from tests.simulation.processes import Work

ROLE = "operator"


class InventoryOperator:
    """All requests to inventory."""

    def __init__(self, market: Market) -> None:
        self.market, self.rng = market, market.rng
        rng, pools = self.rng, sorted(POOLS.values())
        for pool in pools:
            for item in sorted(ITEMS):
                market.at(6.05, self._receive, pool, item, rng.choice((6, 20, 40, 40)))
                if market.chance(0.3):
                    market.at(rng.uniform(8, 14), self._receive, pool, item, rng.randint(3, 12))
        for terminal in sorted(TERMINALS):
            for item in rng.sample(sorted(ITEMS), 2):
                market.at(rng.uniform(6.2, 9), self._lend, terminal, item)
        for _ in range(rng.randint(0, 3)):
            market.at(rng.uniform(7, 17), self._shrink, rng.choice(pools), rng.choice(sorted(ITEMS)))
        if market.chance(0.3):
            market.at(rng.uniform(7, 15), self._close, rng.choice(pools), rng.choice(sorted(ITEMS)))
        if market.chance(0.3):
            market.at(rng.uniform(8, 15), self._move, rng.choice(sorted(ITEMS)))

    def _send(self, what: str, work: Work, on_answer: Any = None) -> None:
        self.market.client.send("inventory", what, work, on_answer)

    def _receive(self, pool: str, item: str, amount: int) -> None:
        rng, id = self.rng, self.market.id(f"lot-{pool}-{item}")
        sell_by = hour(rng.uniform(18, 30)) if rng.random() < 0.7 else None
        body = {"pool": pool, "household": "h1", "harvested_at": hour(rng.uniform(3, 6)), "sell_by": sell_by}
        lot = LotIn.model_validate(body | goods(item, amount) | {"lot_id": id})
        passed = rng.choice((amount, amount, amount, max(1, amount - 2)))
        inspection = Inspection(result="pass", quantity=passed) if rng.random() < 0.95 else Inspection(result="fail")

        def inspect(_: Any) -> None:
            self._send(f"inspect {item} of {pool}", lambda p: lots.inspect(p.context, ROLE, id, inspection))

        self._send(f"receive {amount} {item} into {pool}", lambda p: lots.receive(p.context, ROLE, lot, None), inspect)

    def _lend(self, terminal: str, item: str) -> None:
        rng, market, id = self.rng, self.market, self.market.id(f"lend-{terminal}-{item}")
        body = {"pool": f"{DAY}@{TERMINALS[terminal]}", "terminal": terminal, "lease_until": hour(rng.uniform(9.5, 19))}
        loan = AllotmentIn.model_validate(body | goods(item, rng.randint(2, 12)) | {"allotment_id": id})
        self._send(f"lend {item} to {terminal}", lambda p: allotment.lend(p.context, ROLE, loan, None))
        if market.chance(0.3):
            until = hour(rng.uniform(12, 20))
            again = Renewal(terminal=terminal, pool=loan.pool, item=item, lease_until=until)
            renew: Work = lambda p: allotment.renew(p.context, ROLE, again)  # noqa: E731
            market.at(rng.uniform(9.5, 18), self._send, f"renew {item} of {terminal}", renew)
        market.at(rng.uniform(16, 19.5), self._return, terminal, item)

    def _return(self, terminal: str, item: str) -> None:
        rng, id = self.rng, self.market.id(f"return-{terminal}-{item}")
        body = {"pool": f"{DAY}@{TERMINALS[terminal]}", "terminal": terminal, "return_id": id}
        back = ReturnIn.model_validate(body | goods(item, rng.choice((0, 0, 1, 2, 5, 13))))
        self._send(f"count {item} back from {terminal}", lambda p: allotment.give_back(p.context, ROLE, back, None))

    def _move(self, item: str) -> None:
        rng, id = self.rng, self.market.id(f"move-{item}")
        body = {
            "pool": f"{DAY}@s1",
            "from_terminal": "t1",
            "to_terminal": "t2",
            "lease_until": hour(rng.uniform(15, 19)),
        }
        moved = MoveIn.model_validate(body | goods(item, rng.randint(1, 4)) | {"move_id": id})
        self._send(f"move {item} from t1 to t2", lambda p: allotment.move(p.context, ROLE, moved, None))

    def _shrink(self, pool: str, item: str) -> None:
        """Waste goods, or count another quantity than recorded."""
        rng, id = self.rng, self.market.id(f"shrink-{pool}-{item}")
        if rng.random() < 0.5:
            why = {"reason": rng.choice(("spoiled", "damaged", "other"))}
            waste = WasteIn.model_validate({"pool": pool, "waste_id": id} | why | goods(item, rng.randint(1, 8)))
            self._send(f"waste {item} of {pool}", lambda p: stock.waste(p.context, ROLE, waste, None))
        else:
            at = hour(max(6.5, self.market.now - rng.uniform(0, 1)))
            count = CountIn(count_id=id, pool=pool, item=item, counted=rng.randint(0, 25), counted_at=at)
            self._send(f"count {item} of {pool}", lambda p: stock.count(p.context, ROLE, count, None))

    def _close(self, pool: str, item: str) -> None:
        def reopen(answer: Any) -> None:
            if not isinstance(answer, Problem) and self.rng.random() < 0.6:
                again: Work = lambda p: stock.reopen_item(p.context, ROLE, pool, item)  # noqa: E731
                self.market.at(self.market.now + self.rng.uniform(0.1, 2), self._send, f"reopen {item}", again)

        self._send(f"{item} of {pool} is sold out", lambda p: stock.close_item(p.context, ROLE, pool, item), reopen)
