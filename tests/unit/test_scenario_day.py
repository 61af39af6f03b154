"""The market day as data and as a plan: the same for a seed, and its end follows from the counts."""

from collections import Counter
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.events.campaign import CampaignGood, Measure, Rule, Threshold
from contracts.values import Unit
from deploy.scenarios.drivers import catalogue
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import _checked, load, names
from deploy.scenarios.model import ScenarioError
from deploy.scenarios.outcome.expected_outcome import end_of, expected_outcome, group_buy_outcome
from deploy.scenarios.schedule import Day, Fate
from services.orders.api.schemas.catalog import BODIES
from services.orders.domain.campaign.verdict import Grant, Inputs, Pledge, decide
from services.orders.domain.catalog_rules import contradictions, references, too_far

SCENARIO = load("market-day")


@pytest.fixture(scope="module")
def day() -> Day:
    return make_day(SCENARIO, 1)


def test_the_scenario_has_the_size_that_a_market_has(day: Day):
    assert len(SCENARIO.villages) == 8
    assert len(SCENARIO.goods) == 14
    assert [good.id for good in SCENARIO.goods if good.scarce] == ["oil-tofu", "crayfish"]
    assert len(day.stalls) == 20
    assert sum(stall.offline is not None for stall in day.stalls) == 7
    assert len(day.couriers) == 12
    assert len(SCENARIO.stations) == 1
    assert 1_900 <= len(day.orders) + sum(len(stall.sales) for stall in day.stalls) <= 2_300


def test_the_same_seed_gives_the_same_day_and_another_seed_another(day: Day):
    assert make_day(SCENARIO, 1) == day
    other = make_day(SCENARIO, 2)
    assert {order.id for order in other.orders}.isdisjoint(order.id for order in day.orders)
    assert {order.id for order in make_day(SCENARIO, 1, date(2026, 10, 31)).orders}.isdisjoint(
        order.id for order in day.orders
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_end_states_do_not_depend_on_the_seed(seed: int, day: Day):
    found, first = expected_outcome(make_day(SCENARIO, seed)), expected_outcome(day)
    assert found.ends == first.ends
    assert found.refused == first.refused
    scarce = ("oil-tofu", "crayfish")
    assert [found.sold[item] for item in scarce] == [first.sold[item] for item in scarce]
    served = sum(buy.served for buy in found.group_buys.values())
    assert sum(found.ends.values()) == len(day.orders) + served
    assert found.group_buys == first.group_buys


def test_scarce_goods_are_plain_single_units_and_wanted_by_more_than_there_is(day: Day):
    scarce = {wanted.item for wanted in SCENARIO.scarce}
    orders = [order for order in day.orders if scarce & {line.item for line in order.lines}]
    assert all(len(order.lines) == 1 and order.fate is Fate.FETCHES for order in orders)
    assert all(order.payment != "pending" for order in orders)
    for wanted in SCENARIO.scarce:
        assert wanted.orders > wanted.for_orders > 0
        assert wanted.wanted_each > wanted.lent_each


def test_the_group_buys_form_fail_and_fall_short(day: Day):
    found = expected_outcome(day).group_buys
    assert [(buy.verdict, buy.served > 0, buy.short > 0) for buy in found.values()] == [
        ("formed", True, False),
        ("failed", False, True),
        ("formed", True, True),
    ]


@pytest.mark.parametrize("rule", list(Rule)[:2])
@pytest.mark.parametrize("stock", [1, 19, 20, 27, 40, 41])
def test_a_group_buy_is_planned_as_the_product_judges_it(day: Day, rule: Rule, stock: int):
    buy = day.group_buys[2]
    terms = buy.terms.model_copy(update={"shortfall": rule.value, "stock": stock})
    planned = group_buy_outcome(SCENARIO, replace(buy, terms=terms))
    good = SCENARIO.good(buy.line.item)
    pledges = [
        Pledge(pledge.id, n, n, 1, good.id, buy.line.quantity, good.cost("group", buy.line.quantity))
        for n, pledge in enumerate(buy.pledges, 1)
    ]
    there = min(planned.pledged, stock * good.usual[0])
    sold = CampaignGood(item=good.id, unit=Unit.GRAM, unit_g=good.load_g, cap=planned.pledged)
    threshold = Threshold(of=Measure(terms.threshold.of), at_least=terms.threshold.at_least)
    verdict = decide(Inputs(threshold, rule, (sold,), tuple(pledges), (Grant(good.id, there),)))
    shares = [share.granted for share in verdict.shares]
    assert planned.verdict == ("formed" if verdict.formed else "failed")
    assert (planned.served, planned.sold) == (sum(share > 0 for share in shares), sum(shares))
    assert planned.short == sum(share < buy.line.quantity for share in shares)


def test_a_livestream_brings_all_its_buyers_within_a_minute(day: Day):
    (burst,) = SCENARIO.bursts
    orders = [order for order in day.orders if order.burst == burst.id]
    assert len(orders) == burst.orders + burst.of_scarce
    assert all(burst.at <= order.at < burst.at + 1 for order in orders)
    assert {line.item for order in orders for line in order.lines} == {*burst.goods, burst.scarce}
    for site in burst.sites:
        wanted = [o for o in orders if o.lines[0].item == burst.scarce and SCENARIO.site_of(o.community).id == site]
        assert len(wanted) == burst.wanted_at(site) > burst.stock


def test_lots_cover_what_orders_and_stalls_want_of_usual_goods(day: Day):
    stock, wanted = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for lot in day.lots:
        assert 0 < lot.passed <= lot.received
        stock[lot.site, lot.item] += lot.passed
    for order in day.orders:
        for line in order.lines:
            wanted[SCENARIO.site_of(order.community).id, line.item] += line.quantity
    for stall in day.stalls:
        for item, quantity in stall.lent.items():
            wanted[stall.site, item] += quantity
    for buy in day.group_buys:
        wanted[SCENARIO.site_of(buy.terms.community).id, buy.line.item] += buy.line.quantity * len(buy.pledges)
    scarce = {good.id for good in SCENARIO.goods if good.scarce}
    assert all(stock[key] >= amount for key, amount in wanted.items() if key[1] not in scarce)
    for site, item, units in SCENARIO.shortages():
        assert stock[site, item] == units * SCENARIO.good(item).usual[0] < wanted[site, item]


def test_nobody_cancels_a_delivery_while_routes_are_being_handed_out(day: Day):
    cancels = [order for order in day.orders if order.fate is Fate.CANCELS and order.way == "delivery"]
    assert len(cancels) == SCENARIO.behaviour.cancel_delivery
    for order in cancels:
        assert order.cancels_at is not None
        assert all(order.cancels_at < wave.cut or order.at > wave.cutoff for wave in SCENARIO.waves)


def test_pending_orders_are_paid_inside_their_hold_or_clearly_after_it(day: Day):
    hold = SCENARIO.hold_ttl_s / 60
    for order in (order for order in day.orders if order.payment == "pending"):
        if order.fate is Fate.PAYS_LATE:
            assert order.pays_at is not None
            assert order.fetches_at is not None
            assert order.at + hold < order.pays_at < SCENARIO.closes
            assert order.pays_at < order.fetches_at < SCENARIO.points_close
            assert end_of(order) == "collected"
        elif order.fate is Fate.PAYS_TOO_LATE:
            assert order.pays_at is not None
            assert SCENARIO.closes < order.pays_at < SCENARIO.points_close
            assert end_of(order) == "cancelled"
        elif order.fate is Fate.NEVER_PAYS:
            assert end_of(order) == "expired"
        else:
            assert order.pays_at is not None
            assert order.pays_at < order.at + hold / 2


def test_a_busy_city_has_the_size_that_its_name_says():
    city = load("busy-city")
    day, other = make_day(city, 1), make_day(city, 2)
    found = expected_outcome(day)
    assert (len(city.sites), len(city.stations), len(city.bursts)) == (10, 3, 3)
    assert [burst.orders + burst.of_scarce for burst in city.bursts] == [2_600] * 3
    assert len({buy.id for buy in city.group_buys}) == 30
    assert {buy.closes for buy in city.group_buys} == {8.5 * 60}
    assert {buy.verdict for buy in found.group_buys.values()} == {"formed", "failed"}
    assert 19_000 < sum(found.ends.values()) < 21_000
    assert city.goods == SCENARIO.goods
    assert (expected_outcome(other).ends, expected_outcome(other).group_buys) == (found.ends, found.group_buys)


def test_a_good_that_is_short_is_scarce_and_short_for_one_reason():
    content = SCENARIO.model_dump(by_alias=True)
    content["group_buys"][0]["stock"] = 3
    with pytest.raises(ScenarioError, match="pears at simaochong: only a scarce good can be short"):
        _checked("market-day", content)
    content = SCENARIO.model_dump(by_alias=True)
    content["bursts"] *= 2
    with pytest.raises(ScenarioError, match="oil-tofu at bayiqiao"):
        _checked("market-day", content)


def test_an_unknown_scenario_is_refused_with_the_names_that_exist():
    with pytest.raises(ScenarioError, match="market-day"):
        load("moon-day")
    assert "market-day" in names()


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("sites", {"station": "moon"}, "station moon is referenced but not defined"),
        ("sites", {"communities": ["moon"]}, "community moon is referenced but not defined"),
        ("goods", {"from": ["moon"]}, "village moon is referenced but not defined"),
        ("goods", {"unit": "pound"}, "goods.0.unit"),
        ("scarce", {"terminals": ["moon-1"]}, "terminal moon-1 is referenced but not defined"),
    ],
)
def test_a_broken_scenario_is_refused_with_the_place(part: str, change: dict[str, object], said: str):
    content = SCENARIO.model_dump(by_alias=True)
    content[part][0] |= change
    with pytest.raises(ScenarioError, match=said):
        _checked("market-day", content)


def test_a_scenario_that_asks_for_more_than_it_can_have_is_refused():
    counts = SCENARIO.behaviour.model_copy(update={"never_pay": 10_000})
    with pytest.raises(ScenarioError, match="never_pay: 10000 orders wanted"):
        make_day(SCENARIO.model_copy(update={"behaviour": counts}), 1)


@pytest.mark.parametrize("name", ["market-day", "busy-city"])
def test_what_the_operator_puts_is_what_the_catalogue_takes(name: str):
    day = make_day(load(name), 1)
    world: Any = SimpleNamespace(
        day=day, pace=SimpleNamespace(at=day.at), wave=lambda wave, station: f"{station}-{wave}"
    )
    entries = list(catalogue._entries(world))
    entities = {(kind, id): BODIES[kind].model_validate(body).entity(kind, id) for kind, id, body in entries}
    assert [wrong for entity in entities.values() for wrong in contradictions(entity)] == []
    named = {(kind, id) for entity in entities.values() for _, kind, id in references(entity)}
    assert named <= entities.keys()
    sites: list[Any] = [entity for (kind, _), entity in entities.items() if kind == "sites"]
    assert [why for site in sites if (why := too_far(site, entities["stations", site.station]))] == []  # type: ignore[arg-type]
