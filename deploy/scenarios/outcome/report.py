"""Prints the result of a demo."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from deploy.scenarios.outcome.figures import Figures
from deploy.scenarios.schedule import ExpectedOutcome


def report(console: Console, found: Figures, plan: ExpectedOutcome) -> None:
    """Print every figure of the day."""
    console.print(_ends(found, plan), _goods(found), _group_buys(found), _bursts(found), _waves(found), _events(found))
    wait = found.reserved_ms
    console.print(f"placed -> reserved: p50 {wait['p50']} ms, p99 {wait['p99']} ms    dead letters: {found.parked}")
    absorbed = ", ".join(f"{what} {count}" for what, count in found.absorbed.items())
    console.print(f"repeats dropped: {absorbed}")
    waited = ", ".join(f"{seconds} s for {what}" for what, seconds in found.waited_s.items())
    console.print(f"the day took {found.played_s} s; its clock waited {waited or '0 s'}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if n else "left")
    return table


def _ends(found: Figures, plan: ExpectedOutcome) -> Table:
    table = _table("Orders by end state", "state", "orders", "as planned")
    for state in sorted({*found.ends, *plan.ends}, key=lambda s: (-found.ends.get(s, 0), s)):
        count, planned = found.ends.get(state, 0), plan.ends[state]
        table.add_row(state, str(count), "yes" if count == planned else f"no: {planned}")
    table.add_section()
    table.add_row("all", str(sum(found.ends.values())), "")
    return table


def _goods(found: Figures) -> Table:
    table = _table("Goods", "good", "", "sold", "refused")
    for good in found.goods:
        amount = _amount(good.unit, good.sold)
        table.add_row(f"{good.name} {good.item}", "scarce" if good.scarce else "", amount, str(good.refused))
    return table


def _amount(unit: str, quantity: int) -> str:
    return f"{quantity}" if unit == "piece" else f"{quantity / 1000:g} kg"


def _group_buys(found: Figures) -> Table:
    table = _table("Group-buys", "group-buy", "joins", "pledged", "verdict", "served", "sold", "refunded", "yuan back")
    units = {good.item: good.unit for good in found.goods}
    for buy in found.group_buys:
        pledged, sold = (_amount(units[buy.item], quantity) for quantity in (buy.pledged, buy.sold))
        cells = (buy.joins, pledged, buy.verdict, buy.served, sold, buy.refunded, f"{buy.back_fen / 100:.2f}")
        table.add_row(buy.group_buy, *map(str, cells))
    return table


def _bursts(found: Figures) -> Table:
    table = _table("Livestreams", "burst", "orders", "rejected", "taken in s", "reserved p50 ms", "p99 ms")
    for burst in found.bursts:
        wait = burst.reserved_ms
        table.add_row(burst.burst, *map(str, (burst.orders, burst.rejected, burst.taken_s, wait["p50"], wait["p99"])))
    return table


def _waves(found: Figures) -> Table:
    table = _table("Waves", "wave", "state", "jobs", "routes", "km", "delivered", "in time", "returned")
    for wave in found.waves:
        counts = (wave.jobs, wave.routes, wave.km, wave.delivered, f"{wave.share:.0f} %", wave.returned)
        table.add_row(wave.wave.removeprefix(f"{found.market_day}-"), wave.state, *map(str, counts))
    return table


def _events(found: Figures) -> Table:
    table = _table("Events", "topic", "records")
    for topic, count in found.events.items():
        table.add_row(topic, str(count))
    return table
