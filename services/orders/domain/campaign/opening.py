"""Validates new group-buys and joins: pure, from the request, the catalogue, the tally and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contracts.events.campaign import CampaignGood, Measure, Rule, Threshold
from contracts.values import MAIN_TENANT, Channel, Fulfilment, Payment, Unit
from services.orders.domain.campaign.campaign import Campaign, CampaignState, Tally, Terms
from services.orders.domain.campaign.join import Join
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.policy import Draft, Refusal, Wanted, invalid, missing_entry, price_line, price_order
from services.orders.domain.order.pricing import amount_fen


@dataclass(frozen=True, slots=True)
class Opening:
    """A requested campaign; the quantity of each of `goods` is its cap. `leader`: the subject that opens it."""

    market_day: str
    community: str
    closes_at: datetime
    goods: tuple[Wanted, ...]
    threshold: Threshold
    shortfall: Rule
    leader: str | None = None
    tenant: str = MAIN_TENANT


@dataclass(frozen=True, slots=True)
class Pledging:
    """A requested join without its recipient; `caller` identifies a person within the campaign.

    `order` and `code` are for the order that it may become, `owner` is the subject that it belongs to, `receipt` the
    payment of a prepaid one, `PROVIDER:TRANSACTION`.
    """

    join: UUID
    order: UUID
    code: str
    caller: str
    lines: tuple[Wanted, ...]
    fulfilment: Fulfilment
    payment: Payment
    point: str | None = None
    owner: str | None = None
    receipt: str | None = None


def open_campaign(id: UUID, requested: Opening, chat_key: bytes, catalog: Catalog, now: datetime) -> Campaign | Refusal:
    """Return the open campaign, or the first reason against it. It must close before its market day, of which it sells
    the stock. `chat_key`: random bytes.
    """
    day = catalog.market_days.get(requested.market_day)
    if day is None:
        return missing_entry(catalog, "/market_day", "market-days", requested.market_day)
    pool = catalog.pool(day.id, requested.community)
    if requested.community not in catalog.communities:
        return missing_entry(catalog, "/community", "communities", requested.community)
    if pool is None:
        return invalid("/community", f"no site of market day {day.id} serves community {requested.community}")
    if requested.closes_at >= day.closes_at:
        return invalid("/closes_at", f"must be before {day.closes_at.isoformat()}, when market day {day.id} closes")
    if requested.closes_at <= now:
        return Refusal(409, "campaign-closed", "/closes_at", f"the cutoff {requested.closes_at.isoformat()} has passed")
    goods = _goods(requested, catalog, now)
    if isinstance(goods, Refusal):
        return goods
    if refusal := _unreachable_threshold(requested, goods, catalog):
        return refusal
    return Campaign(
        Terms(
            campaign=id,
            market_day=day.id,
            community=requested.community,
            pool=pool,
            closes_at=requested.closes_at,
            day_closes_at=day.closes_at,
            opened_at=now,
            goods=goods,
            threshold=requested.threshold,
            shortfall=requested.shortfall,
            leader=requested.leader,
            tenant=requested.tenant,
            chat_key=chat_key,
        )
    )


def _goods(requested: Opening, catalog: Catalog, now: datetime) -> tuple[CampaignGood, ...] | Refusal:
    goods: list[CampaignGood] = []
    for n, wanted in enumerate(requested.goods):
        line = price_line(n, wanted, Channel.GROUP, catalog, now)
        if isinstance(line, Refusal):
            return replace(line, pointer=line.pointer.replace("/lines/", "/goods/"))
        unit_g = catalog.items[line.item].unit_g
        goods.append(CampaignGood(item=line.item, unit=line.unit, unit_g=unit_g, cap=line.quantity))
    return tuple(goods)


def _unreachable_threshold(requested: Opening, goods: Sequence[CampaignGood], catalog: Catalog) -> Refusal | None:
    """Return a refusal where the campaign could never form: its threshold counts pieces of weighed goods, or is above
    the sum of its caps.
    """
    of = requested.threshold.of
    if of is Measure.QUANTITY and any(good.unit is not Unit.PIECE for good in goods):
        return invalid("/threshold/of", "a threshold of pieces needs goods that are all sold by the piece: use weight")
    highest = sum(_highest_measure(of, good, catalog, requested.closes_at) for good in goods)
    if requested.threshold.at_least <= highest:
        return None
    return invalid("/threshold/at_least", f"the caps allow at most {highest} ({of}), so the campaign could never form")


def _highest_measure(of: Measure, good: CampaignGood, catalog: Catalog, closes_at: datetime) -> int:
    """Return the contribution of the good to the threshold if it is pledged up to its cap."""
    if of is Measure.WEIGHT and good.unit is Unit.PIECE:
        return good.cap * good.unit_g
    if of is Measure.AMOUNT:  # at the highest price that takes effect before the cutoff
        prices = catalog.prices[good.item, Channel.GROUP]
        return max(amount_fen(p.price_fen, good.cap, good.unit) for p in prices if p.effective_from < closes_at)
    return good.cap  # for people too: each person pledges at least one piece or gram


def pledge(
    requested: Pledging,
    campaign: Campaign,
    tally: Tally,
    member: int | None,
    catalog: Catalog,
    now: datetime,
    *,
    hold_ttl_s: int,
) -> Join | Refusal:
    """Return the accepted join with its prices frozen at `now`, read under the campaign's lock; or the reason against
    it.

    `member`: this caller's number from an earlier join of the campaign, None for a new caller. `hold_ttl_s`: business
    seconds for which the stock of the order is held, if its payment is pending.
    """
    terms = campaign.terms
    if campaign.state is not CampaignState.OPEN or now >= terms.closes_at:
        return Refusal(409, "campaign-closed", "", f"campaign {campaign.id} closed at {terms.closes_at.isoformat()}")
    draft = Draft(
        channel=Channel.GROUP,
        market_day=terms.market_day,
        community=terms.community,
        lines=requested.lines,
        fulfilment=requested.fulfilment,
        payment=requested.payment,
        point=requested.point,
        owner=requested.owner,
        tenant=terms.tenant,
        receipt=requested.receipt,
    )
    order = price_order(requested.order, requested.code, draft, catalog, now, hold_ttl_s)
    if isinstance(order, Refusal):
        return order
    caps = {good.item: good.cap for good in terms.goods}
    for n, line in enumerate(order.terms.lines):
        if line.item not in caps:
            return invalid(f"/lines/{n}/item", f"item {line.item} is not offered by campaign {campaign.id}")
        left = caps[line.item] - tally.of(line.item)
        if line.quantity > left:
            reached = f"{line.quantity} of {line.item} requested, {left} left of the cap of {caps[line.item]}"
            return Refusal(409, "cap-reached", f"/lines/{n}", reached)
    join_terms = replace(order.terms, campaign=campaign.id, join=requested.join, leader=terms.leader)
    n = tally.joined + 1
    return Join(requested.join, campaign.id, n, member or n, join_terms)
