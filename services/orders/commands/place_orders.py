"""Taking orders: requests that arrive while a commit runs share the next one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.kit.context import Context
from services.kit.faults import point
from services.kit.http import problems
from services.kit.http.group_commit import GroupCommit
from services.kit.http.problems import InputError, Problem
from services.kit.transaction.unit_of_work import CORRELATION, TRACEPARENT, UnitOfWork
from services.orders.api.schemas.order import NewOrder
from services.orders.commands.publish import announce
from services.orders.domain.order.order import Order
from services.orders.domain.order.policy import Refusal, price_order
from services.orders.domain.order.state_machine import placed
from services.orders.repository import order_intake as rows
from services.orders.repository.catalog import CatalogCache
from services.orders.repository.order import find

GROUP = 200
RETRY_AFTER_S = "30"
_TITLES = {409: "Conflict", 422: "Unusable content", 503: "Try again"}


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to take an order under an id; `digest` tells whether two of one id ask for the same."""

    order: UUID
    body: NewOrder
    digest: bytes
    request: str | None
    traceparent: str | None


class Intake:
    """The accept path. `submit` returns only after COMMIT, and the same submission again gets the same order."""

    def __init__(self, context: Context, catalog: CatalogCache, hold_ttl_s: int) -> None:
        self._context, self._catalog, self._hold_ttl_s = context, catalog, hold_ttl_s
        self._group = GroupCommit(self._commit, lambda one: one.order, GROUP, concurrency=2)

    async def submit(self, order: UUID, body: NewOrder) -> Order:
        """The order as it stands, placed by this or an earlier request. Raises a `Problem` where it is not taken;
        where the outcome is unknown that is a 503, and the same request again is safe.
        """
        one = Submission(order, body, body.digest(), CORRELATION.get(), TRACEPARENT.get())
        answer = await self._group.submit(one)
        if isinstance(answer, Problem):
            raise answer
        return answer

    async def _commit(self, group: list[Submission]) -> list[Order | Problem]:
        async with self._context.unit() as uow:
            answers = await self._accept(uow, group)
            point("accept.before_commit")
        point("accept.after_commit")
        return answers

    async def _accept(self, uow: UnitOfWork, group: list[Submission]) -> list[Order | Problem]:
        catalog = await self._catalog.current(uow.conn)
        first: dict[UUID, Submission] = {}
        for one in group:  # a repeat inside the group is answered like any other: by what stands after the insert
            first.setdefault(one.order, one)
        judged = {
            id: price_order(id, code, one.body.draft(), catalog, uow.now, self._hold_ttl_s)
            for (id, one), code in zip(first.items(), new_codes(len(first)), strict=True)
        }
        candidates = [order for order in judged.values() if isinstance(order, Order)]
        fresh = await self._insert(uow, candidates, first)
        stands = {order.id: (order, first[order.id].digest) for order in fresh}
        others = [id for id in first if id not in stands]
        if others:
            stands |= await find(uow.conn, others)
        conflicts = [(s.order, s.digest, s.body.without_person()) for s in group if _contradicts(s, stands)]
        await rows.keep_conflicts(uow.conn, conflicts, uow.now)
        return [_answer(one, stands, judged[one.order]) for one in group]

    async def _insert(self, uow: UnitOfWork, orders: Sequence[Order], first: dict[UUID, Submission]) -> list[Order]:
        new = await rows.insert_orders(uow.conn, orders, {id: one.digest for id, one in first.items()})
        fresh = [order for order in orders if order.id in new]
        people = {order.id: first[order.id].body.person() for order in fresh}
        causes = {order.id: first[order.id].request or "" for order in fresh}
        await rows.insert_details(uow.conn, fresh, people, causes, uow.now)
        for order in fresh:
            # The group runs in one task, so what its events say of their request is set for each.
            CORRELATION.set(first[order.id].request)
            TRACEPARENT.set(first[order.id].traceparent)
            announce(uow, placed(order))
            if order.terms.is_delivery:
                uow.emit(people[order.id].event(order))
        return fresh


def new_codes(count: int) -> list[str]:
    """Six digits each, that the receiver tells or shows. Drawn at once: asking the system costs more than the rest."""
    drawn = secrets.token_bytes(8 * count)
    return [f"{int.from_bytes(drawn[at : at + 8]) % 1_000_000:06}" for at in range(0, len(drawn), 8)]


def _contradicts(one: Submission, stands: dict[UUID, tuple[Order, bytes]]) -> bool:
    return one.order in stands and stands[one.order][1] != one.digest


def _answer(one: Submission, stands: dict[UUID, tuple[Order, bytes]], judged: Order | Refusal) -> Order | Problem:
    if one.order in stands:
        order, digest = stands[one.order]
        return order if digest == one.digest else problems.conflict(f"order {one.order} was taken with other content")
    if isinstance(judged, Refusal):
        return refused(judged)
    raise RuntimeError(f"order {one.order} is neither new nor known")


def refused(why: Refusal) -> Problem:
    """The problem document of a refusal."""
    fault = InputError(f"#{why.pointer}", why.message)
    headers = {"Retry-After": RETRY_AFTER_S} if why.status == 503 else {}
    return Problem(why.status, why.code, _TITLES[why.status], why.message, errors=[fault], headers=headers)
