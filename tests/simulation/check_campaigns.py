"""Invariants of group-buys: caps, a reproducible verdict, one end per join, every fen spent on an order or refunded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from services.orders.domain.campaign.campaign import CampaignState, Tally
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.campaign.verdict import replay
from tests.simulation.invariant import check_invariant
from tests.simulation.memory import Database, Transaction


def committed(transaction: Transaction, clock: Any) -> None:
    """Check a transaction that orders committed."""
    changed: Any = transaction.writes.get("campaign_join", {}).values()
    for join, _ in changed:
        campaign, _ = transaction.get("campaign", join.campaign)
        in_time = join.terms.placed_at < campaign.terms.closes_at
        if join.granted is None:  # it just joined or withdrew; the time at which it locked the row counts
            since = transaction.locked_at.get(("campaign", join.campaign))
            held = since is not None and clock.business_at(since) < campaign.terms.closes_at
            in_time = in_time and held and campaign.state is CampaignState.OPEN
        check_invariant(in_time, "no join after the cutoff", f"{join} of {campaign}")
    for id in {join.campaign for join, _ in changed}:
        _within_caps(transaction, id)


def _within_caps(transaction: Transaction, id: UUID) -> None:
    """Check the caps against the pledges of all active joins, counted from the joins themselves."""
    campaign, _ = transaction.get("campaign", id)
    rows: Any = transaction.rows("campaign_join").values()
    pledged = _pledged(join for join, _ in rows if join.campaign == id and join.state is not JoinState.WITHDRAWN)
    for good in campaign.terms.goods:
        check_invariant(
            pledged[good.item] <= good.cap, "pledges stay within the cap", f"campaign {id}: {good}, {pledged}"
        )


def _pledged(joins: Iterable[Join]) -> Counter[str]:
    found = Counter[str]()
    for join in joins:
        found.update({line.item: line.quantity for line in join.terms.lines})
    return found


def at_end(dbs: dict[str, Database], accepted: dict[UUID, Join]) -> None:
    """Check that every group-buy is settled, and that its joins, orders, money and stock agree."""
    tables: Any = dbs["orders"].tables
    joins: list[Join] = [join for join, _ in tables["campaign_join"].values()]
    lost = accepted.keys() - {join.id for join in joins}
    check_invariant(not lost, "an accepted join is never lost", f"{lost}")
    for id, (campaign, _) in tables["campaign"].items():
        mine = [join for join in joins if join.campaign == id]
        check_invariant(campaign.settled, "every group-buy is settled", f"campaign {id}: {campaign}")
        for join in mine:
            _ended(join, tables["orders"].get(join.terms.order))
        active = [join for join in mine if join.state is not JoinState.WITHDRAWN]
        _counted(tables["campaign_tally"][id], mine, active)
        _judged(tables["campaign_verdict"][(id,)], active)
        claim, _ = dbs["inventory"].tables["reservation"].get(campaign.terms.reservation, (None, None))
        check_invariant(
            not claim or not claim.active, "a settled group-buy reserves nothing", f"campaign {id}: {claim}"
        )


def _ended(join: Join, row: Any) -> None:
    order = row and row[0]
    fine = join.state in {JoinState.ORDERED, JoinState.REFUNDED, JoinState.WITHDRAWN}
    check_invariant(
        fine and (order is not None) == (join.state is JoinState.ORDERED), "a join has one end", f"{join}: {order}"
    )
    kept = order.terms.total_fen if order and join.paid_fen else 0
    check_invariant(
        join.paid_fen == kept + join.refunded_fen, "every fen is spent on an order or refunded", f"{join}: {order}"
    )
    if order:
        got = {line.line: line.quantity for line in order.terms.lines}
        shares = zip(join.terms.lines, join.granted or (), strict=True)
        check_invariant(
            got == {line.line: n for line, n in shares if n}, "an order has its join's shares", f"{join}: {order}"
        )


def _counted(tally: Tally, joins: list[Join], active: list[Join]) -> None:
    numbers = sorted(join.n for join in joins)
    check_invariant(
        numbers == list(range(1, tally.joined + 1)), "joins are numbered without gaps", f"{numbers}, {tally}"
    )
    pledged = _pledged(active)
    counted = Counter({item: quantity for item, quantity in (tally.pledged or {}).items() if quantity})
    check_invariant(
        (tally.standing, counted) == (len(active), pledged), "a tally is the sum of the active joins", f"{tally}"
    )


def _judged(row: dict[str, Any], joins: list[Join]) -> None:
    check_invariant(replay(row["inputs"]) == row["verdict"], "a verdict replays to the same bytes", f"{row}")
    given, requested = Counter[str](), Counter[str]()
    for join in joins:
        for line, share in zip(join.terms.lines, join.granted or (), strict=True):
            given[line.item] += share
            requested[line.item] += line.quantity
    check_invariant(
        all(given[item] <= requested[item] for item in given),
        "no join is granted more than pledged",
        f"{given}, {requested}",
    )
