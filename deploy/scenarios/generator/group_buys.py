"""Generates the joins of group-buys, and their withdrawals."""

from __future__ import annotations

from random import Random

from deploy.scenarios.generator import people
from deploy.scenarios.generator.chance import Chance
from deploy.scenarios.model import GroupBuy as Terms
from deploy.scenarios.model import Scenario
from deploy.scenarios.schedule import GroupBuy, Line, Pledge

# Minutes from the opening to the first join, and from the last one to the cutoff.
BEFORE, AFTER = 5.0, 45.0
# Every so many joins come by the leader's list, every so many are on account.
LISTED_EVERY, ON_ACCOUNT_EVERY = 3, 4


def make_group_buys(scenario: Scenario, chance: Chance) -> list[GroupBuy]:
    """Return the group-buys in the scenario's order; each person joins once; only single joins are withdrawn."""
    rng = chance.of("group-buys")
    made = []
    for number, terms in enumerate(scenario.group_buys):
        line = Line(terms.item, terms.each * scenario.good(terms.item).usual[0])
        pledges = _pledges(scenario, rng, chance, number, terms)
        made.append(GroupBuy(chance.id("group-buy", number), terms, line, tuple(pledges)))
    return made


def _pledges(scenario: Scenario, rng: Random, chance: Chance, number: int, terms: Terms) -> list[Pledge]:
    first, last = terms.opens + BEFORE, terms.closes - AFTER
    middle = (first + last) / 2
    alone = [n for n in range(terms.joins) if n % LISTED_EVERY]
    regret = set(alone[: terms.withdrawn])
    return [
        Pledge(
            id=chance.id(f"pledge {number}", n),
            at=rng.uniform(first, middle if n in regret else last),
            name=people.name(rng),
            phone=phone,
            payment="prepaid" if n % ON_ACCOUNT_EVERY else "on_account",
            in_list=n % LISTED_EVERY == 0,
            fetches_at=rng.uniform(scenario.terminals_close + 30, scenario.points_close - 150),
            withdraws_at=rng.uniform(middle + BEFORE, last) if n in regret else None,
        )
        for n, phone in enumerate(people.phones(rng, terms.joins))
    ]
