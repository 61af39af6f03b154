"""The choice of a wave for a job, quotes, and the inputs that a job waits for."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.events.catalog import ItemPut, MarketDayPut, SiteDay, SitePut, StationPut, WaveTerms
from contracts.events.dispatch import Quote
from contracts.events.orders import GoodsLine
from services.dispatch.domain import promise
from services.dispatch.domain import wave as waves
from services.dispatch.domain.access import shows_person
from services.dispatch.domain.catalog import Catalog
from services.dispatch.domain.job.job import Job, JobState, Slot
from services.dispatch.domain.wave import Wave, WaveState, choose_slot

NOW = datetime(2026, 10, 24, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = b"a key of the test"


def wave(id: str, slot: int, cutoff: int, **more: object) -> Wave:
    terms = WaveTerms(
        id=id,
        station="guandu",
        slot_from=NOW + slot * HOUR,
        slot_until=NOW + (slot + 2) * HOUR,
        cutoff=NOW + cutoff * HOUR,
        capacity=2,
    )
    made = waves.opened("sat", terms)
    return Wave(**{name: getattr(made, name) for name in made.__slots__} | more)


NOON, EVENING = wave("noon", 4, 2), wave("evening", 8, 6)


def chosen(taken: dict[str, int] | None = None, now: datetime = NOW, quote: Quote | None = None, *more: Wave):
    return choose_slot([EVENING, NOON, *more], taken or {}, "guandu", now, quote)


def test_the_earliest_wave_that_takes_jobs_is_chosen():
    assert chosen() == Slot("noon", NOON.slot_from, NOON.slot_until)
    assert chosen({"noon": 2}).wave == "evening"
    assert chosen(now=NOON.cutoff).wave == "evening"
    assert choose_slot([wave("x", 1, 1, state=WaveState.CUT), EVENING], {}, "guandu", NOW).wave == "evening"


def test_the_quoted_wave_goes_first_and_a_later_slot_is_told():
    evening = promise.sign_quote(KEY, "simaochong", EVENING)
    assert chosen(quote=evening) == Slot("evening", EVENING.slot_from, EVENING.slot_until)
    noon = promise.sign_quote(KEY, "simaochong", NOON)
    assert chosen({"noon": 2}, quote=noon) == Slot("evening", EVENING.slot_from, EVENING.slot_until, False)


@pytest.mark.parametrize(
    ("taken", "now", "station", "reason"),
    [
        ({}, NOW, "elsewhere", "no wave starts at station elsewhere"),
        ({}, NOW + 7 * HOUR, "guandu", "every wave is past its cutoff"),
        ({"noon": 2, "evening": 2}, NOW, "guandu", "every wave that still takes jobs is full"),
    ],
)
def test_without_a_slot_the_reason_is_told(taken, now, station, reason):
    assert choose_slot([NOON, EVENING], taken, station, now) == reason


def late(now: datetime, quote: Quote | None = None, taken: dict[str, int] | None = None, **more: object) -> str | None:
    found = waves.choose_late_wave([EVENING, NOON, AFTERNOON], taken or {}, "guandu", now, quote, **more)
    return found and found.id


AFTERNOON = wave("afternoon", 6, 3)


def test_a_late_job_asks_the_quoted_wave_else_the_earliest_that_is_not_handed_out():
    assert (late(NOW), late(NOON.cutoff), late(AFTERNOON.cutoff)) == (None, "noon", "noon")
    assert late(AFTERNOON.cutoff, promise.sign_quote(KEY, "simaochong", AFTERNOON)) == "afternoon"
    assert late(AFTERNOON.cutoff, promise.sign_quote(KEY, "simaochong", AFTERNOON), {"afternoon": 2}) == "noon"
    assert late(AFTERNOON.cutoff, taken={"noon": 2}) == "afternoon"
    assert late(NOON.slot_from) == "afternoon"
    assert late(AFTERNOON.cutoff, after=NOON) == "afternoon"
    assert late(AFTERNOON.cutoff, after=AFTERNOON) is None
    noon = promise.sign_quote(KEY, "simaochong", NOON)
    assert late(AFTERNOON.cutoff, noon, {"noon": 2}) == "afternoon"
    assert late(AFTERNOON.cutoff, noon, {"noon": 2}, as_promised=True) is None


@pytest.mark.parametrize(("state", "asked"), [(s, s in {WaveState.CUT, WaveState.PLANNED}) for s in WaveState])
def test_a_wave_is_asked_between_its_cutoff_and_its_release(state: WaveState, asked: bool):
    found = waves.choose_late_wave([wave("noon", 4, 2, state=state)], {}, "guandu", NOW)
    assert bool(found) is asked


def test_a_wave_goes_one_way_and_a_plan_fits_one_version():
    cut = waves.cut(NOON)
    assert (cut.state, waves.cut(cut)) == (WaveState.CUT, cut)
    assert waves.planned(cut, cut.version - 1) is None
    assert waves.planned(NOON, NOON.version) is None
    planned = waves.planned(cut, cut.version)
    assert waves.planned(planned, cut.version) is None
    assert waves.planned(planned, planned.version).version == planned.version + 1
    assert waves.planned(waves.released(planned), planned.version) is None
    done = waves.done(waves.released(planned))
    assert (done.state, waves.released(cut), waves.done(planned)) == (WaveState.DONE, cut, planned)


def test_terms_change_only_while_the_wave_is_open():
    terms = WaveTerms(
        id="noon",
        station="guandu",
        slot_from=NOW + 4 * HOUR,
        slot_until=NOW + 6 * HOUR,
        cutoff=NOW + 3 * HOUR,
        capacity=9,
    )
    assert waves.revised(NOON, terms).capacity == 9
    assert waves.revised(waves.cut(NOON), terms) == waves.cut(NOON)


def test_a_quote_is_believed_only_unaltered_and_from_our_key():
    quote = promise.sign_quote(KEY, "simaochong", NOON)
    carried = Quote.model_validate_json(quote.model_dump_json())
    elsewhere = carried.model_copy(update={"slot_from": carried.slot_from.astimezone(tz=None)})
    assert promise.is_verified([KEY], carried)
    assert promise.is_verified([KEY], elsewhere)
    for field, value in {"wave": "evening", "until": quote.until + HOUR, "community": "qifeng", "mac": "ü"}.items():
        assert not promise.is_verified([KEY], quote.model_copy(update={field: value}))
    assert not promise.is_verified([b"another"], quote)
    assert not promise.is_verified([], quote)
    assert promise.is_verified([b"the next one", KEY], quote), "the key before still counts"


def test_no_slot_keeps_a_quote_that_was_not_verified():
    early = promise.sign_quote(KEY, "simaochong", EVENING)
    forged = promise.unkept(early.model_copy(update={"slot_until": NOW + 1000 * HOUR}))
    chosen = waves.choose_slot([NOON, EVENING], {}, NOON.station, NOW, forged)
    assert isinstance(chosen, Slot)
    assert (chosen.wave, chosen.as_promised) == ("noon", False), "it also gains no place in the wave that it names"


DAY = MarketDayPut(
    id="sat",
    date=date(2026, 10, 24),
    opens_at=NOW,
    closes_at=NOW + HOUR,
    sites=[SiteDay(site="simaochong", communities=["xincheng"])],
)
SITE = SitePut(id="simaochong", name_zh="丝茅冲", lat=28.237, lon=112.998, station="guandu")
STATION = StationPut(id="guandu", name_zh="官渡", lat=28.226, lon=112.962)
HONEY = ItemPut(id="honey", name_zh="蜂蜜", unit="piece", unit_g=700)
FRUIT = ItemPut(id="fruit", name_zh="大围山水果", unit="gram", unit_g=1000, unit_ml=1500, cold=True)


def test_a_job_waits_for_one_thing_after_the_other():
    job = Job(uuid4(), uuid4(), "sat@simaochong", uuid4(), market_day="sat", community="xincheng")
    known, waited = [], []
    for entry in (DAY, SITE, STATION):
        waited += Catalog({e.key: e for e in known}).missing(job)
        known.append(entry)
    full = Catalog({entry.key: entry for entry in known})
    assert (waited, full.missing(job)) == (["market-day/sat", "site/simaochong", "station/guandu"], ())
    assert (full.station_of("sat", "xincheng"), full.station_of("sat", "qifeng")) == ("guandu", None)


def test_loads_are_rounded_up_per_line_and_cold_room_counts_cold_goods_only():
    catalog = Catalog({entry.key: entry for entry in (HONEY, FRUIT)})
    lines = [GoodsLine(line=1, item="honey", quantity=2), GoodsLine(line=2, item="fruit", quantity=501)]
    assert catalog.load_of(lines) == (1400 + 501, 752)


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("released", [True, False])
@pytest.mark.parametrize(("shift", "ends"), [(None, 7), (3, 3), (9, 7)])
def test_a_person_is_shown_from_the_release_to_the_end_of_job_slot_or_shift(
    state: JobState, released: bool, shift: int | None, ends: int
) -> None:
    slot = Slot("noon", NOON.slot_from, NOON.slot_until)
    job = Job(uuid4(), uuid4(), "sat@simaochong", uuid4(), state=state, slot=slot)
    until = None if shift is None else NOW + shift * HOUR
    for now, in_time in ((NOW, True), (NOW + ends * HOUR - timedelta(seconds=1), True), (NOW + ends * HOUR, False)):
        shown = shows_person(job, released=released, shift_until=until, now=now, margin=HOUR)
        assert shown == (in_time and released and state in {JobState.ASSIGNED, JobState.LOADED})
