"""The commands that an order sends to inventory and dispatch."""

from __future__ import annotations

from uuid import UUID

from contracts.events import dispatch, inventory
from services.orders.domain.order.order import Order


def reserve_stock(order: Order, *, firm: bool) -> inventory.ReserveStock:
    """Return the command that reserves stock for the current attempt: firm, or held until the payment arrives."""
    terms = order.terms
    return inventory.ReserveStock(
        **_reservation(order),
        firm=firm,
        ttl_s=None if firm else terms.hold_ttl_s,
        source=order.source,
        attempt=order.attempt,
        lines=terms.goods,
    )


def commit_stock(order: Order) -> inventory.CommitStock:
    """Return the command that makes a hold firm."""
    return inventory.CommitStock(**_reservation(order))


def release_stock(order: Order) -> inventory.ReleaseStock:
    """Return the command that releases the reservation of the current attempt."""
    return inventory.ReleaseStock(**_reservation(order))


def schedule_delivery(order: Order) -> dispatch.ScheduleDelivery:
    """Return the command that schedules the delivery, with the buyer's quote."""
    terms = order.terms
    return dispatch.ScheduleDelivery(
        **_reservation(order),
        market_day=terms.market_day,
        community=terms.community,
        lines=terms.goods,
        quote=terms.quote,
    )


def cancel_delivery(order: Order) -> dispatch.CancelDelivery:
    """Return the command that cancels the delivery."""
    return dispatch.CancelDelivery(**_reservation(order))


def _reservation(order: Order) -> dict[str, UUID | str]:
    return {"reservation": order.reservation, "pool": order.terms.pool, "order": order.id}
