"""The rights of a caller on stock. Pure; the scope of the route was checked before."""

from __future__ import annotations

from contracts.values import Principal


def may_use(caller: Principal, pool: str) -> bool:
    """Return True if the site of the pool is within the caller's bounds."""
    return caller.bounds.permit("sites", pool.partition("@")[2])
