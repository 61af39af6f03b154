"""The operations of a request, and their outcomes: what the history has of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deploy.audit.invariants.facts import Operation, Outcome
from deploy.scenarios.actors.client import Answer, Request
from deploy.scenarios.actors.devices import DONE
from tests.faults.history import digest

Verdict = tuple[Outcome, Mapping[str, Any]]
Judge = Callable[[Sequence[Operation], Answer], list[Verdict]]
"""Maps operations and the answer to their request to outcomes, each with the facts to record."""
_CHANGE = re.compile(r"/v1/orders/(?P<order>[^/:]+):(?P<kind>pay|cancel|ready|collect)")
_SYNC = re.compile(r"/v1/(?P<kind>terminals|couriers)/(?P<owner>[^/]+)/sync")


class Operations:
    """Makes the operations of requests. Their ids name the subject, so that two processes can write one history.

    An order with another content than its first is `altered`.
    """

    def __init__(self) -> None:
        self._count = 0
        self._placed: dict[str, str] = {}

    def of(self, request: Request) -> tuple[list[Operation], Judge]:
        """Return the operations of a request, and what judges them; a read has none."""
        if request.path == "/v1/orders" and request.method == "POST":
            return [self._place(request.body)], judge_all
        if request.path == "/v1/orders:batch":
            return [self._place(body) for body in request.body], judge_batch
        if found := _CHANGE.fullmatch(request.path):
            data = {"payment": request.body["payment_id"]} if found["kind"] == "pay" else {}
            return [self._new(found["kind"], found["order"], data)], judge_all
        if found := _SYNC.fullmatch(request.path):
            if found["kind"] == "terminals":
                return [self._new("stall", found["owner"], _stall_facts(request.body))], judge_all
            reports = [[one["seq"], one["kind"], one["body"]["job"]] for one in request.body["uploads"]]
            return [self._new("courier", found["owner"], {"uploads": reports})], judge_sync
        return [], judge_all

    def _place(self, body: Mapping[str, Any]) -> Operation:
        order, content = body["order_id"], digest(body)
        kind = "place" if self._placed.setdefault(order, content) == content else "altered"
        return self._new(kind, order, order_facts(body))

    def _new(self, kind: str, subject: str, data: Mapping[str, Any]) -> Operation:
        self._count += 1
        return Operation(f"{kind}-{subject}-{self._count}", kind, subject, data)


def order_facts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order's content as recorded in the history."""
    return {
        "lines": _lines(body),
        "payment": body["payment"],
        "fulfilment": body["fulfilment"]["kind"],
    }


def _stall_facts(body: Mapping[str, Any]) -> dict[str, Any]:
    uploads = [{"seq": one["seq"], "kind": one["kind"], "lines": _lines(one["body"])} for one in body["uploads"]]
    session = body["uploads"][0]["session"] if uploads else ""
    return {"device": body["device"], "session": session, "uploads": uploads}


def _lines(body: Mapping[str, Any]) -> list[list[Any]]:
    return [[line["item"], line["quantity"]] for line in body.get("lines", ())]


def judge_all(operations: Sequence[Operation], answer: Answer) -> list[Verdict]:
    """Judge a request that does all of its operations or none."""
    if answer.ok:
        return [(Outcome.OK, {"hash": digest(answer.body)})] * len(operations)
    outcome = Outcome.FAIL if answer.status else Outcome.UNKNOWN
    return [(outcome, {"why": str(answer.body)[:300]})] * len(operations)


def judge_batch(operations: Sequence[Operation], answer: Answer) -> list[Verdict]:
    """Judge each order of a batch by its own answer."""
    if not answer.ok:
        return judge_all(operations, answer)
    own = zip(operations, _own_answers(answer), strict=True)
    return [verdict for operation, one in own for verdict in judge_all([operation], one)]


def _own_answers(answer: Answer) -> Iterator[Answer]:
    for one in answer.body["answers"]:
        yield Answer(0 if one["status"] >= 500 else one["status"], one.get("order") or one.get("problem"))


def judge_sync(operations: Sequence[Operation], answer: Answer) -> list[Verdict]:
    """Judge a sync, which succeeded when every report in it did."""
    if answer.ok and (wrong := [one for one in answer.body["uploads"] if one["answer"] not in DONE]):
        return [(Outcome.FAIL, {"why": str(wrong[0])})]
    return judge_all(operations, answer)
