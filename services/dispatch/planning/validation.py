"""Validates a problem before it is solved; each finding has a JSON pointer, a message and a fix.

Only contradictions are invalid. A problem with orders that can't be served is valid; its plan gives the reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from services.dispatch.planning.problem import Break, Courier, Order, RoutingProblem
from services.dispatch.planning.travel.matrix import layout

_PROBLEM = TypeAdapter(RoutingProblem)
_FIXES = {
    "missing": "add it",
    "extra_forbidden": "remove it, or look its name up in the documentation of the problem",
    "unexpected_keyword_argument": "remove it, or look its name up in the documentation of the problem",
    "greater_than_equal": "give a larger number",
    "less_than_equal": "give a smaller number",
    "int_type": "give a whole number without quotes: metres, seconds, grams, millilitres, fen",
    "float_type": "give a number without quotes: degrees",
    "json_invalid": "send JSON: an object with station, couriers and orders",
}


@dataclass(frozen=True, slots=True)
class Flaw:
    """A finding: `pointer` is a JSON pointer into the problem, `mend` the fix."""

    pointer: str
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.message}; {self.mend}"


class InvalidProblem(Exception):
    """Raised for a problem that can't be planned; `flaws` has all findings."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__("\n".join(map(str, flaws)))
        self.flaws = tuple(flaws)


def read(text: bytes | str) -> RoutingProblem:
    """Return the problem in this JSON. Raises `InvalidProblem`."""
    try:
        problem = _PROBLEM.validate_json(text)
    except ValidationError as error:
        raise InvalidProblem([_flaw(detail) for detail in error.errors(include_url=False)]) from None
    check(problem)
    return problem


def check(problem: RoutingProblem) -> None:
    """Check the problem. Raises `InvalidProblem` with all findings."""
    if found := [*_ids(problem), *_couriers(problem), *_orders(problem), *_ways(problem)]:
        raise InvalidProblem(found)


def _flaw(error: object) -> Flaw:
    assert isinstance(error, dict)
    pointer = "".join(f"/{part}" for part in error["loc"])
    return Flaw(
        pointer, error["msg"][:1].lower() + error["msg"][1:], _FIXES.get(error["type"], "give a value that fits")
    )


def _ids(problem: RoutingProblem) -> Iterator[Flaw]:
    for name, ids in (("orders", [o.id for o in problem.orders]), ("couriers", [c.id for c in problem.couriers])):
        seen: set[str] = set()
        for n, id in enumerate(ids):
            if not id:
                yield Flaw(f"/{name}/{n}/id", "is empty", "give it a unique id")
            elif id in seen:
                yield Flaw(f"/{name}/{n}/id", f"duplicate id {id!r}", "give each one a unique id")
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
                yield Flaw(
                    f"{at}/breaks/{k}/from_s",
                    "begins before the previous break ends",
                    "sort them, without overlap",
                )


def _rest(at: str, courier: Courier, rest: Break) -> Iterator[Flaw]:
    if rest.from_s + rest.length_s > rest.until_s:
        yield Flaw(f"{at}/length_s", f"{rest.length_s} s don't fit between from_s and until_s", "widen them")
    if rest.from_s < courier.from_s or rest.until_s > courier.until_s:
        yield Flaw(at, "is outside the shift", "put it between the courier's from_s and until_s")


def _orders(problem: RoutingProblem) -> Iterator[Flaw]:
    for n, order in enumerate(problem.orders):
        yield from _windows(f"/orders/{n}/windows", order)


def _windows(at: str, order: Order) -> Iterator[Flaw]:
    if not order.windows:
        yield Flaw(at, "is empty", "give at least one window")
    for k, window in enumerate(order.windows):
        if window.from_s > window.until_s:
            yield Flaw(f"{at}/{k}/until_s", "ends before it begins", "swap from_s and until_s")
    for k, (a, b) in enumerate(zip(order.windows, order.windows[1:], strict=False), 1):
        if b.from_s <= a.until_s:
            yield Flaw(f"{at}/{k}/from_s", "begins before the previous window ends", "sort them, without overlap")


def _ways(problem: RoutingProblem) -> Iterator[Flaw]:
    size, seen = len(layout(problem).places), set()
    for n, ways in enumerate(problem.ways):
        at = f"/ways/{n}"
        if ways.profile in seen:
            yield Flaw(f"{at}/profile", f"duplicate profile {ways.profile!r}", "give each profile once")
        seen.add(ways.profile)
        for name, rows in (("metres", ways.metres), ("seconds", ways.seconds)):
            if len(rows) != size or any(len(row) != size for row in rows):
                mend = f"give {size} x {size}: the station, the orders, then couriers' own places"
                yield Flaw(f"{at}/{name}", "has another size than the number of places", mend)
