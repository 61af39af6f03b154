"""What is wrong with a problem before anybody solves it: where, what, and how to mend it.

Only what makes no sense is wrong. A problem that can't be served in full is a good problem; its plan gives reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from services.dispatch.planning.problem import Break, Courier, Order, RoutingProblem
from services.dispatch.planning.travel.matrix import layout

_PROBLEM = TypeAdapter(RoutingProblem)
_MEND = {
    "missing": "add it",
    "extra_forbidden": "leave it out, or see the names in the documentation of the problem",
    "unexpected_keyword_argument": "leave it out, or see the names in the documentation of the problem",
    "greater_than_equal": "give a number that is large enough",
    "less_than_equal": "give a number that is small enough",
    "int_type": "give a whole number without quotes: metres, seconds, grams, millilitres, fen",
    "float_type": "give a number without quotes: degrees",
    "json_invalid": "send JSON: an object with station, couriers and orders",
}


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong: `pointer` is a JSON pointer into the problem."""

    pointer: str
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.message}; {self.mend}"


class Nonsense(Exception):
    """A problem that can't be planned; `flaws` says all that is wrong with it."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__("\n".join(map(str, flaws)))
        self.flaws = tuple(flaws)


def read(text: bytes | str) -> RoutingProblem:
    """The problem in this JSON. Raises `Nonsense`."""
    try:
        problem = _PROBLEM.validate_json(text)
    except ValidationError as wrong:
        raise Nonsense([_flaw(error) for error in wrong.errors(include_url=False)]) from None
    check(problem)
    return problem


def check(problem: RoutingProblem) -> None:
    """Raises `Nonsense` if something in the problem makes no sense."""
    if found := [*_ids(problem), *_couriers(problem), *_orders(problem), *_ways(problem)]:
        raise Nonsense(found)


def _flaw(error: object) -> Flaw:
    assert isinstance(error, dict)
    pointer = "".join(f"/{part}" for part in error["loc"])
    return Flaw(
        pointer, error["msg"][:1].lower() + error["msg"][1:], _MEND.get(error["type"], "give a value that fits")
    )


def _ids(problem: RoutingProblem) -> Iterator[Flaw]:
    for name, ids in (("orders", [o.id for o in problem.orders]), ("couriers", [c.id for c in problem.couriers])):
        seen: set[str] = set()
        for n, id in enumerate(ids):
            if not id:
                yield Flaw(f"/{name}/{n}/id", "is empty", "give it a name of its own")
            elif id in seen:
                yield Flaw(f"/{name}/{n}/id", f"{id!r} is there before", "give each one a name of its own")
            seen.add(id)


def _couriers(problem: RoutingProblem) -> Iterator[Flaw]:
    for n, courier in enumerate(problem.couriers):
        at = f"/couriers/{n}"
        if courier.from_s >= courier.until_s:
            yield Flaw(
                f"{at}/until_s", f"the shift ends at {courier.until_s}, before it begins", "swap from_s and until_s"
            )
        yield from (flaw for k, rest in enumerate(courier.breaks) for flaw in _rest(f"{at}/breaks/{k}", courier, rest))
        for k, (a, b) in enumerate(zip(courier.breaks, courier.breaks[1:], strict=False), 1):
            if b.from_s < a.until_s:
                yield Flaw(f"{at}/breaks/{k}/from_s", "begins before the last break's end", "order them, apart")


def _rest(at: str, courier: Courier, rest: Break) -> Iterator[Flaw]:
    if rest.from_s + rest.length_s > rest.until_s:
        yield Flaw(f"{at}/length_s", f"{rest.length_s} s don't fit between from_s and until_s", "widen them")
    if rest.from_s < courier.from_s or rest.until_s > courier.until_s:
        yield Flaw(at, "lies outside the shift", "put it between the courier's from_s and until_s")


def _orders(problem: RoutingProblem) -> Iterator[Flaw]:
    for n, order in enumerate(problem.orders):
        yield from _windows(f"/orders/{n}/windows", order)


def _windows(at: str, order: Order) -> Iterator[Flaw]:
    if not order.windows:
        yield Flaw(at, "there is none", "give at least one window")
    for k, window in enumerate(order.windows):
        if window.from_s > window.until_s:
            yield Flaw(f"{at}/{k}/until_s", "ends before it begins", "swap from_s and until_s")
    for k, (a, b) in enumerate(zip(order.windows, order.windows[1:], strict=False), 1):
        if b.from_s <= a.until_s:
            yield Flaw(f"{at}/{k}/from_s", "begins before the last window's end", "order them, apart")


def _ways(problem: RoutingProblem) -> Iterator[Flaw]:
    size, seen = len(layout(problem).places), set()
    for n, ways in enumerate(problem.ways):
        at = f"/ways/{n}"
        if ways.profile in seen:
            yield Flaw(f"{at}/profile", f"{ways.profile!r} is there before", "give each profile once")
        seen.add(ways.profile)
        for name, rows in (("metres", ways.metres), ("seconds", ways.seconds)):
            if len(rows) != size or any(len(row) != size for row in rows):
                mend = f"give {size} x {size}: the station, the orders, then couriers' own places"
                yield Flaw(f"{at}/{name}", "is not as large as there are places", mend)
