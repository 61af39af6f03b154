"""Whether a group-buy may open and a join be taken: pure, from what was asked, the catalogue, tally and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from contracts.events.campaign import CampaignGood, Measure, Rule, Threshold
from contracts.values import Channel, Fulfilment, Payment, Unit
from services.orders.domain.campaign.campaign import Campaign, CampaignState, Tally, Terms
from services.orders.domain.campaign.join import Join
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.policy import Draft, Refusal, Wanted, accept, lacking, line_of, unusable
from services.orders.domain.order.pricing import amount_fen


@dataclass(frozen=True, slots=True)
class Opening:
    """A campaign as asked for; of each of `goods`, the quantity is the cap."""

    market_day: str
    community: str
    closes_at: datetime
    goods: tuple[Wanted, ...]
    threshold: Threshold
    shortfall: Rule


@dataclass(frozen=True, slots=True)
class Pledging:
    """A join as asked for, its person left out; `caller` tells one person from another within the campaign.

    `order` and `code` are for the order that it may become.
    """

    join: UUID
    order: UUID
    code: str
    caller: str
    lines: tuple[Wanted, ...]
    fulfilment: Fulfilment
    payment: Payment
    point: str | None = None


def open_campaign(id: UUID, asked: Opening, catalog: Catalog, now: datetime) -> Campaign | Refusal:
    """The open campaign, or the first reason against it. It closes before its market day does, whose stock it sells."""
    day = catalog.market_days.get(asked.market_day)
    if day is None:
        return lacking(catalog, "/market_day", "market-days", asked.market_day)
    pool = catalog.pool(day.id, asked.community)
    if asked.community not in catalog.communities:
        return lacking(catalog, "/community", "communities", asked.community)
    if pool is None:
        return unusable("/community", f"no site of market day {day.id} serves community {asked.community}")
    if asked.closes_at >= day.closes_at:
        return unusable("/closes_at", f"the cutoff must lie before the market day closes, {day.closes_at.isoformat()}")
    if asked.closes_at <= now:
        return Refusal(409, "campaign-closed", "/closes_at", "the cutoff has passed")
    goods = _goods(asked, catalog, now)
    if isinstance(goods, Refusal):
        return goods
    if wrong := _threshold(asked, goods, catalog):
        return wrong
    return Campaign(
        Terms(
            campaign=id,
            market_day=day.id,
            community=asked.community,
            pool=pool,
            closes_at=asked.closes_at,
            day_closes_at=day.closes_at,
            opened_at=now,
            goods=goods,
            threshold=asked.threshold,
            shortfall=asked.shortfall,
        )
    )


def _goods(asked: Opening, catalog: Catalog, now: datetime) -> tuple[CampaignGood, ...] | Refusal:
    goods: list[CampaignGood] = []
    for n, wanted in enumerate(asked.goods):
        line = line_of(n, wanted, Channel.GROUP, catalog, now)
        if isinstance(line, Refusal):
            return replace(line, pointer=line.pointer.replace("/lines/", "/goods/"))
        unit_g = catalog.items[line.item].unit_g
        goods.append(CampaignGood(item=line.item, unit=line.unit, unit_g=unit_g, cap=line.quantity))
    return tuple(goods)


def _threshold(asked: Opening, goods: Sequence[CampaignGood], catalog: Catalog) -> Refusal | None:
    """Why the campaign could never form: its threshold counts what is not sold, or lies above what its caps allow."""
    of = asked.threshold.of
    if of is Measure.QUANTITY and any(good.unit is not Unit.PIECE for good in goods):
        return unusable("/threshold/of", "a threshold of pieces needs goods that are all sold by the piece: say weight")
    most = sum(_most(of, good, catalog, asked.closes_at) for good in goods)
    if asked.threshold.at_least <= most:
        return None
    return unusable("/threshold/at_least", f"the caps allow {most} at most ({of}), so the campaign could never form")


def _most(of: Measure, good: CampaignGood, catalog: Catalog, closes_at: datetime) -> int:
    """How far pledges of the good up to its cap reach."""
    if of is Measure.WEIGHT and good.unit is Unit.PIECE:
        return good.cap * good.unit_g
    if of is Measure.AMOUNT:  # at the highest price that may come to hold before the cutoff
        prices = catalog.prices[good.item, Channel.GROUP]
        return max(amount_fen(p.price_fen, good.cap, good.unit) for p in prices if p.effective_from < closes_at)
    return good.cap  # of people too: each pledges one piece or gram at least


def pledge(
    asked: Pledging, campaign: Campaign, tally: Tally, member: int | None, catalog: Catalog, now: datetime
) -> Join | Refusal:
    """The accepted join with its prices frozen at `now`, read under the campaign's lock; or the reason against it.

    `member`: as whom this caller has joined already, None for a new one.
    """
    terms = campaign.terms
    if campaign.state is not CampaignState.OPEN or now >= terms.closes_at:
        return Refusal(409, "campaign-closed", "", f"the campaign took joins until {terms.closes_at.isoformat()}")
    draft = Draft(
        channel=Channel.GROUP,
        market_day=terms.market_day,
        community=terms.community,
        lines=asked.lines,
        fulfilment=asked.fulfilment,
        payment=asked.payment,
        point=asked.point,
    )
    order = accept(asked.order, asked.code, draft, catalog, now, hold_ttl_s=0)
    if isinstance(order, Refusal):
        return order
    caps = {good.item: good.cap for good in terms.goods}
    for n, line in enumerate(order.terms.lines):
        if line.item not in caps:
            return unusable(f"/lines/{n}/item", f"{line.item} is not offered by this campaign")
        room = caps[line.item] - tally.of(line.item)
        if line.quantity > room:
            return Refusal(409, "cap-reached", f"/lines/{n}", f"{room} of {caps[line.item]} are left of {line.item}")
    mine = replace(order.terms, campaign=campaign.id, join=asked.join)
    n = tally.joined + 1
    return Join(asked.join, campaign.id, n, member or n, mine)
