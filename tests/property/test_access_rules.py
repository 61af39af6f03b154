"""Properties of access's rules over any sequence of events."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from contracts.values import Bounds
from services.access.domain import attempts, enrolment, otp, refresh, signing_key
from services.access.domain.account import is_within
from services.access.domain.attempts import Limit
from services.access.domain.enrolment import Enrolment
from services.access.domain.otp import Otp
from services.access.domain.signing_key import KeyStatus, SigningKey
from services.access.domain.staff import used_step

NOW = datetime(2026, 11, 7, 4, tzinfo=UTC)
GAPS = st.lists(st.integers(0, 900), max_size=60)
LIMITS = st.lists(
    st.builds(Limit, st.integers(1, 6), st.integers(1, 3600).map(lambda s: timedelta(seconds=s))),
    min_size=1,
    max_size=3,
)


@given(GAPS, LIMITS)
@example([0, 61, 1], [Limit(1, timedelta(minutes=1)), Limit(2, timedelta(hours=1))])
def test_a_limit_is_never_exceeded_in_any_window_and_the_wait_is_exact(gaps: list[int], limits: list[Limit]) -> None:
    at, permitted = NOW, []
    kept: tuple[datetime, ...] = ()
    for gap in gaps:
        at += timedelta(seconds=gap)
        wait = attempts.wait(kept, limits, at)
        if wait is None:
            kept = attempts.counted(kept, limits, at)
            permitted.append(at)
        else:
            assert wait > timedelta()
            assert attempts.wait(kept, limits, at + wait) is None
            assert attempts.wait(kept, limits, at + wait - timedelta(microseconds=1)) is not None
    for limit in limits:
        for start in permitted:
            assert sum(start <= one < start + limit.per for one in permitted) <= limit.count


def test_no_attempt_waits_without_a_reason() -> None:
    assert attempts.wait((), attempts.OTP_PER_PHONE, NOW) is None


@given(st.binary(min_size=5, max_size=5))
def test_every_code_is_read_back_as_a_person_types_it(random: bytes) -> None:
    code = enrolment.code_of(random)
    assert len(code) == 8
    assert set(code) <= set(enrolment.ALPHABET)
    assert enrolment.read_code(enrolment.shown(code)) == code
    assert enrolment.read_code(f" {code.lower()} ") == code
    assert enrolment.read_code(code.replace("0", "o").replace("1", "l")) == code


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=5, max_size=5))
def test_codes_are_as_many_as_their_random_bytes(one: bytes, other: bytes) -> None:
    assert (enrolment.code_of(one) == enrolment.code_of(other)) == (one == other)


@given(st.text(max_size=12))
def test_any_text_is_a_code_of_eight_characters_or_none(text: str) -> None:
    code = enrolment.read_code(text)
    assert code is None or (len(code) == 8 and set(code) <= set(enrolment.ALPHABET))


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=12))
def test_a_one_time_code_is_accepted_at_most_once_in_time_and_within_five_tries(tries: list[tuple[int, bool]]) -> None:
    code: Otp | None = Otp(b"phone", b"digest", NOW)
    at, wrong, accepted = NOW, 0, 0
    for gap, matches in tries:
        at += timedelta(seconds=gap)
        if code is None:
            break
        code, good = otp.tried(code, matches, at)
        wrong += not matches
        accepted += good
        assert not good or (matches and at - NOW < otp.LIFE and wrong < otp.TRIES)
        assert not good or code is None
    assert accepted <= 1


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=12))
def test_an_enrolment_is_accepted_at_most_once_in_time_and_within_five_tries(tries: list[tuple[int, bool]]) -> None:
    open_one: Enrolment | None = Enrolment(
        handle="ABCD",
        digest=b"",
        subject="terminal.S1",
        kind="terminal",
        tenant="main",
        bounds=Bounds(),
        made_by="staff.1",
        expires_at=NOW + enrolment.LIFE,
    )
    at, wrong, accepted = NOW, 0, 0
    for gap, matches in tries:
        at += timedelta(seconds=gap)
        if open_one is None:
            break
        open_one, good = enrolment.tried(open_one, matches, at)
        wrong += not matches
        accepted += good
        assert not good or (matches and at - NOW < enrolment.LIFE and wrong < enrolment.TRIES and open_one is None)
    assert accepted <= 1


@given(st.integers(0, 10**9), st.integers(-5, 5), st.integers(0, 10**8))
def test_a_step_is_accepted_only_near_now_and_after_the_last(seconds: int, drift: int, last: int) -> None:
    secret, now = b"s" * 20, datetime.fromtimestamp(seconds + 1000, UTC)
    step = int(now.timestamp()) // 30 + drift
    found = used_step(secret, totp(secret, step), last, now)
    assert found is None or (found > last and abs(found - int(now.timestamp()) // 30) <= 1)
    if abs(drift) <= 1 and step > last:
        assert found is not None


def totp(secret: bytes, step: int) -> str:
    """The code of a step by RFC 4226, 5.3, without the product's library."""
    digest = hmac.digest(secret, step.to_bytes(8), hashlib.sha1)
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF) % 10**6:06}"


@given(
    st.lists(st.sampled_from(["rotate", "retire"]), max_size=20),
    st.lists(st.integers(0, 2000), min_size=20, max_size=20),
)
def test_there_is_always_one_current_and_one_next_key(steps: list[str], gaps: list[int]) -> None:
    at, number = NOW, 0

    def new(status: KeyStatus) -> SigningKey:
        nonlocal number
        number += 1
        return SigningKey(kid=str(number), x="", y="", sealed=b"", status=status, changed_at=at)

    keys = {one.kid: one for one in map(new, signing_key.missing([]))}
    signed: list[tuple[str, datetime]] = []
    for step, gap in zip(steps, gaps, strict=False):
        at += timedelta(seconds=gap)
        current = signing_key.current_of(keys.values())
        assert current
        signed.append((current.kid, at))
        changed = (
            signing_key.rotate(list(keys.values()), new(KeyStatus.NEXT), at)
            if step == "rotate"
            else signing_key.ended(list(keys.values()), at)
        )
        keys |= {one.kid: one for one in changed}
        assert signing_key.missing(list(keys.values())) == []
        assert sum(one.status is KeyStatus.CURRENT for one in keys.values()) == 1
        for kid, then in signed:  # no token outlives its key
            assert at - then >= signing_key.TOKEN_LIFE or keys[kid].is_published


@given(st.integers(0, 100 * 86400), st.booleans())
def test_a_refresh_token_rotates_once_before_its_end(seconds: int, used: bool) -> None:
    ends = NOW + refresh.LIVES["leader"]
    token = refresh.RefreshToken(
        digest=b"", family=UUID(int=1), subject="leader.1", expires_at=ends, used_at=NOW if used else None
    )
    at = NOW + timedelta(seconds=seconds)
    expected = refresh.Use.REUSED if used else refresh.Use.ROTATE if at < ends else refresh.Use.EXPIRED
    assert refresh.use(token, at) is expected


PLACES = st.none() | st.frozensets(st.sampled_from("abc"))
BOUNDS = st.builds(Bounds, sites=PLACES, stations=PLACES, communities=PLACES)


@given(BOUNDS, BOUNDS, BOUNDS)
def test_bounds_are_ordered(one: Bounds, two: Bounds, three: Bounds) -> None:
    assert is_within(one, one)
    assert is_within(one, Bounds())
    if is_within(one, two) and is_within(two, three):
        assert is_within(one, three)
    if is_within(one, two) and is_within(two, one):
        assert one == two
