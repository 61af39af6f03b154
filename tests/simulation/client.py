"""The services' HTTP clients: they repeat a request until its answer arrives.

The functions behind the routes are called with parsed bodies, as FastAPI would call them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent
from services.kit.database import is_transient
from services.kit.http.problems import Problem
from services.orders.api.schemas.order import NewOrder
from services.orders.api.schemas.stall import SyncIn, synced_view
from services.orders.commands.order import change_order
from services.orders.commands.place_orders import PlaceOrders
from services.orders.commands.stall import sync_terminal
from services.orders.repository.catalog import CatalogCache
from tests.simulation.invariant import InvariantBroken, check_invariant
from tests.simulation.processes import Process, Work, World

HOLD_TTL_S = 900
OnAnswer = Callable[[Any], None]


class Client:
    """Sends requests to the API processes. `on_answer` gets the answer or the `Problem` that refuses; never an unknown
    outcome.

    The same answer may arrive twice.
    """

    def __init__(self, world: World) -> None:
        self.world = world

    def send(self, service: str, what: str, work: Work, on_answer: OnAnswer | None = None, tries: int = 0) -> None:
        """Repeat a request until its answer arrives."""
        world, process = self.world, self.world.processes[f"{service}.api"]

        def again() -> None:
            check_invariant(
                tries < 300, "every request is answered", f"{what} was sent {tries} times without an answer"
            )
            wait = world.rng.uniform(0.1, min(20, 0.5 * 2**tries))
            world.scheduler.after(wait, self.send, service, what, work, on_answer, tries + 1)

        def done(result: Any, error: BaseException | None) -> None:
            refused = isinstance(error, Problem) and error.status != 503
            if error and not (isinstance(error, Problem) or is_transient(error)):
                raise InvariantBroken(
                    "no request fails by itself", f"{what}: {type(error).__name__}: {error}"
                ) from error
            if (error and not refused) or world.rng.random() < world.faults.lost_answer:
                return again()
            world.note("client", "%s: %s", what, f"{error.status} {error.detail}" if refused else "done")  # type: ignore[union-attr]
            if on_answer:
                on_answer(error if refused else result)
            return None

        if not process.up or process.frozen > world.scheduler.now:
            return again()
        process.run(process.do(work), what, done, again)
        return None

    def put(self, kind: str, entity: CatalogEvent) -> None:
        """Put a catalogue entity as operator."""

        async def work(process: Process) -> None:
            async with process.context.unit() as uow:
                changed, _ = await uow.store.upsert_entry(kind, entity, uow.now)
                if changed:
                    uow.emit(entity)

        self.send("orders", f"put {kind}/{entity.id}", work)

    def place(self, order: UUID, body: NewOrder, what: str, on_answer: OnAnswer) -> None:
        """Place an order as buyer."""

        async def work(process: Process) -> Any:
            place_orders = process.memo.get("place_orders")
            if place_orders is None:
                place_orders = PlaceOrders(process.context, CatalogCache(), HOLD_TTL_S)
                process.memo["place_orders"] = place_orders
            return await place_orders.submit(body.command(str(order)))

        self.send("orders", what, work, on_answer)

    def send_command(self, order: UUID, message: Any, what: str, on_answer: OnAnswer | None = None) -> None:
        """Send a command to an order: cancel, pay, ready or collect."""
        self.send("orders", what, lambda process: change_order(process.context, order, message), on_answer)

    def sync(self, terminal: str, body: SyncIn, what: str, on_answer: OnAnswer) -> None:
        """Upload a stall terminal's records."""

        async def work(process: Process) -> Any:
            cache = process.memo.setdefault("catalog", CatalogCache())
            return synced_view(await sync_terminal(process.context, cache, body.command(terminal)))

        self.send("orders", what, work, on_answer)
