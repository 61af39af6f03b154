"""The use cases that have state of their own in a process: the catalogue in memory, group commits, waiting requests."""

from __future__ import annotations

from services.kit.context import Context
from services.orders.commands.await_answer import AwaitAnswer
from services.orders.commands.join_campaign import JoinCampaigns
from services.orders.commands.members import Members
from services.orders.commands.payment import ReceivePayments
from services.orders.commands.place_orders import PlaceOrders
from services.orders.domain.capability import CapabilityKey
from services.orders.domain.hold import HoldLimits
from services.orders.payment_providers import open_providers
from services.orders.repository.catalog import CatalogCache
from services.orders.settings import OrderSettings


class UseCases:
    """One per process; routes and the fast path reach it by a dependency. `settings`: by default the environment's."""

    def __init__(self, context: Context, settings: OrderSettings | None = None) -> None:
        self.context = context
        settings = settings or OrderSettings.load()
        self.catalog = CatalogCache()
        members = Members(settings.member_key.get_secret_value().encode() if settings.member_key else None)
        limits = HoldLimits(settings.hold_quota, settings.address_hold_quota)
        self.place_orders = PlaceOrders(context, self.catalog, members, settings.hold_ttl_s, limits)
        self.join_campaigns = JoinCampaigns(context, self.catalog, members, settings.campaign_hold_ttl_s)
        self.receive_payment = ReceivePayments(context, open_providers(settings.payments))
        self.await_answer = AwaitAnswer(context.pool)
        self.capability_key = key_of(settings)


def key_of(settings: OrderSettings) -> CapabilityKey | None:
    """Return the key of capabilities with the one before it, where the settings have one."""
    current, previous = settings.capability_key, settings.capability_key_previous
    if current is None:
        return None
    return CapabilityKey(
        current.get_secret_value().encode(), previous.get_secret_value().encode() if previous else None
    )
