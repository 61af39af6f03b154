"""The rights of a caller on waves, jobs and couriers. Pure; the scope of the route was checked before."""

from __future__ import annotations

from contracts.values import Principal


def may_manage(caller: Principal, station: str) -> bool:
    """Return True if the station of a wave is within the caller's bounds."""
    return caller.bounds.permit("stations", station)


def may_drive_as(caller: Principal, courier: str) -> bool:
    """Return True if the caller may read and report as this courier: the courier's device is bound to one."""
    return caller.bounds.permit("couriers", courier)
