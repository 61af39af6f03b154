"""Generates a day from a scenario and a seed. Pure: the same seed gives the same day."""

from __future__ import annotations

from datetime import date

from deploy.scenarios.generator.chance import Chance
from deploy.scenarios.generator.group_buys import make_group_buys
from deploy.scenarios.generator.orders import make_orders
from deploy.scenarios.generator.stalls import make_stalls
from deploy.scenarios.generator.stock import make_lots, wanted
from deploy.scenarios.model import Scenario
from deploy.scenarios.schedule import Courier, Day, Household


def make_day(scenario: Scenario, seed: int, on: date | None = None) -> Day:
    """Return the day of a scenario for a seed, on its own date or another; ids differ by date and seed."""
    day = on or scenario.date
    chance = Chance(f"{scenario.name}/{day}/{seed}")
    households = tuple(
        Household(f"{village.id}-h{number:02}", village.id)
        for village in scenario.villages
        for number in range(1, scenario.households_per_village + 1)
    )
    orders = make_orders(scenario, chance)
    group_buys = make_group_buys(scenario, chance)
    stalls = make_stalls(scenario, chance)
    lots = make_lots(scenario, chance, wanted(scenario, orders, group_buys, stalls), households)
    return Day(
        scenario,
        day,
        seed,
        households,
        _couriers(scenario),
        tuple(orders),
        tuple(group_buys),
        tuple(stalls),
        tuple(lots),
    )


def _couriers(scenario: Scenario) -> tuple[Courier, ...]:
    return tuple(
        Courier(name, fleet.station, fleet.capacity_g, fleet.cold_ml)
        for fleet in scenario.couriers
        for name in (f"{fleet.kind}-{number}" for number in range(1, fleet.count + 1))
    )
