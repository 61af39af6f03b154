"""The part of the catalogue that each kind of caller sees. Pure; the scope of the route was checked before.

A buyer sees goods, the prices of the channels that it may order on, and its own communities with their pickup points;
a device sees its own place. Staff, providers of payments and local tokens see everything. A kind of caller that has no
row sees nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.values import LOCAL_KIND, Channel, Principal

CHANNELS: Mapping[str, frozenset[Channel]] = {
    "resident": frozenset({Channel.APP, Channel.LIVE}),
    "capability": frozenset({Channel.APP, Channel.LIVE}),
    "leader": frozenset({Channel.APP, Channel.LIVE, Channel.GROUP}),
    "terminal": frozenset({Channel.STALL}),
}
"""The channels of a kind of caller: those of its prices, and of the orders that it places. Staff has all."""
_EVERYTHING = frozenset({LOCAL_KIND, "staff", "payment"})


@dataclass(frozen=True, slots=True)
class Visible:
    """The visible entries of a kind: those of which `field` has one of `values`, or all of them without a field."""

    field: str | None = None
    values: Collection[str] = ()

    def has(self, entry: Mapping[str, Any]) -> bool:
        """Return True if an entry, with its id, is one of them."""
        return self.field is None or entry.get(self.field) in self.values


ALL = Visible()
_GOODS: Mapping[str, Visible] = dict.fromkeys(("items", "villages", "pairings", "market-days"), ALL)


def visible(caller: Principal, kind: str) -> Visible | None:
    """Return the entries of a kind, such as `prices`, that the caller sees; None where it sees none of the kind."""
    if caller.kind in _EVERYTHING:
        return ALL
    return _VIEWS[caller.kind](caller).get(kind) if caller.kind in _VIEWS else None


def may_order_on(caller: Principal, channel: Channel) -> bool:
    """Return True if the caller may place an order on a channel, at its prices."""
    return caller.kind in _EVERYTHING or channel in CHANNELS.get(caller.kind, ())


def _buyer(caller: Principal) -> Mapping[str, Visible]:
    return {
        **_GOODS,
        "prices": Visible("channel", CHANNELS[caller.kind]),
        "communities": _within(caller.bounds.communities, "id"),
        "points": _within(caller.bounds.communities, "community"),
    }


def _terminal(caller: Principal) -> Mapping[str, Visible]:
    return {
        **_GOODS,
        "households": ALL,
        "prices": Visible("channel", CHANNELS[caller.kind]),
        "sites": _within(caller.bounds.sites, "id"),
        "terminals": _within(caller.bounds.terminals, "id"),
    }


def _courier(caller: Principal) -> Mapping[str, Visible]:
    return {
        **dict.fromkeys(("items", "communities", "points", "market-days"), ALL),
        "stations": _within(caller.bounds.stations, "id"),
        "couriers": _within(caller.bounds.couriers, "id"),
    }


def _steward(caller: Principal) -> Mapping[str, Visible]:
    return {**_GOODS, "households": ALL, "sites": _within(caller.bounds.sites, "id")}


def _within(ids: Collection[str] | None, field: str) -> Visible:
    return ALL if ids is None else Visible(field, ids)


_VIEWS: Mapping[str, Callable[[Principal], Mapping[str, Visible]]] = {
    "resident": _buyer,
    "leader": _buyer,
    "terminal": _terminal,
    "courier": _courier,
    "steward": _steward,
}
