"""Uploads in any order, split and repeated anyhow, end in the same state; altered content is kept as a conflict."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.uploads import canonical, digest_of
from services.kit.uploads.ingestion import advance, judge
from services.kit.uploads.sessions import Known, Progress
from services.kit.uploads.upload import Answer, Key, Session, Upload, UploadIn, read

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
EMPTY = Progress(0, 0, (), AT)
BAD: tuple[dict[str, Any], ...] = (
    {"body": {"text": "\x00"}},
    {"body": {"text": "\ud800"}},
    {"body": {"grams": 2**64}},
    {"body": {"grams": float("nan")}},
    {"body": [1]},
    {"body": None},
    {"kind": 7},
    {"kind": ""},
    {"colour": "red"},
    {"body_hash": digest_of(b"another")},
    {"body_hash": "x"},
)


def upload(seq: int, content: int = 0, session: str = "s-1", **more: Any) -> Upload:
    """A sale; `content` is what the device says that it sold."""
    sent = {"session": session, "seq": seq, "recorded_at": AT.isoformat(), "kind": "sale", "body": {"grams": content}}
    return read(UploadIn.model_validate(sent | more), "terminal/t", AT, "d-1")


class Store:
    """The tables in memory: facts, conflicts, and the progress of each session."""

    def __init__(self) -> None:
        self.facts: dict[Key, Upload] = {}
        self.conflicts: set[tuple[Key, bytes]] = set()
        self.sessions: dict[Session, Progress] = {}

    def accept(self, uploads: list[Upload]) -> list[Answer]:
        known = {key: Known.of(fact) for key, fact in self.facts.items()}
        last = {session: state.last for session, state in self.sessions.items()}
        answers = judge(known, last, uploads)
        for one, answer in zip(uploads, answers, strict=True):
            if answer is Answer.CONFLICT:
                self.conflicts.add((one.key, one.digest))
            elif one.key not in self.facts and answer is not Answer.REFUSED:
                self.facts[one.key] = one
        for session in {(one.device, one.session) for one in uploads}:
            arrived = [key[2] for key in self.facts if key[:2] == session and key not in known]
            self.sessions[session] = advance(self.sessions.get(session, EMPTY), arrived, AT)
        return answers


sessions = st.dictionaries(st.sampled_from(["s-1", "s-2"]), st.sets(st.integers(1, 30), min_size=1), min_size=1)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Upload], list[list[Upload]]]:
    """Some uploads, good and bad, and calls in which each of them comes at least once."""
    numbers = draw(sessions)
    wrongs = st.one_of(st.just({}), st.sampled_from(BAD))
    uploads = [
        upload(seq, session=session, **draw(wrongs)) for session, seqs in numbers.items() for seq in sorted(seqs)
    ]
    repeats = draw(st.lists(st.sampled_from(uploads), max_size=20))
    stream = draw(st.permutations([*uploads, *repeats]))
    calls: list[list[Upload]] = [[]]
    for one in stream:
        calls[-1].append(one)
        if draw(st.booleans()):
            calls.append([])
    return uploads, [call for call in calls if call]


@given(deliveries())
def test_any_mix_order_split_and_repetition_gives_the_same_state(
    given: tuple[list[Upload], list[list[Upload]]],
) -> None:
    uploads, calls = given
    once, anyhow = Store(), Store()
    once.accept(uploads)
    answers = [(one, answer) for call in calls for one, answer in zip(call, anyhow.accept(call), strict=True)]
    assert anyhow.facts == once.facts
    assert anyhow.sessions == once.sessions
    assert not anyhow.conflicts
    applied = [one.key for one, answer in answers if answer is Answer.APPLIED]
    assert sorted(applied) == sorted(one.key for one in uploads if not one.fault), "each good one applies exactly once"
    assert {answer for one, answer in answers if one.fault} <= {Answer.KEPT}, "a bad one is kept, each time it comes"
    for session, state in once.sessions.items():
        through, gaps = naive({one.seq for one in uploads if (one.device, one.session) == session})
        assert (state.through, list(state.gaps)) == (through, gaps), "a bad one counts as received"


def naive(seqs: set[int]) -> tuple[int, list[tuple[int, int]]]:
    """Count one by one how far the numbers are complete, and the missing ranges."""
    missing = [n for n in range(1, max(seqs) + 1) if n not in seqs]
    gaps: list[tuple[int, int]] = []
    for n in missing:
        if gaps and gaps[-1][1] == n - 1:
            gaps[-1] = (gaps[-1][0], n)
        else:
            gaps.append((n, n))
    return (missing[0] - 1 if missing else max(seqs)), gaps


@given(st.lists(st.sets(st.integers(1, 60), min_size=1), min_size=1, max_size=6))
def test_gaps_are_exactly_what_is_missing(arrivals: list[set[int]]) -> None:
    state, seen = EMPTY, set[int]()
    for arrived in arrivals:
        state = advance(state, arrived - seen, AT)
        seen |= arrived
        assert (state.through, list(state.gaps)) == naive(seen)
        assert state.last == max(seen)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2)), min_size=1, max_size=30))
def test_altered_content_is_a_conflict_and_is_kept(sent: list[tuple[int, int]]) -> None:
    store = Store()
    first: dict[int, int] = {}
    for seq, content in sent:
        (answer,) = store.accept([upload(seq, content)])
        assert (answer is Answer.CONFLICT) == (first.setdefault(seq, content) != content)
    assert {key[2]: fact.body["grams"] for key, fact in store.facts.items()} == first
    kept = {(one.key, one.digest) for one in (upload(*pair) for pair in sent) if first[one.seq] != one.body["grams"]}
    assert store.conflicts == kept


def test_the_devices_clock_is_no_content() -> None:
    earlier = upload(1, recorded_at=AT.replace(hour=1).isoformat())
    assert judge({upload(1).key: Known.of(upload(1))}, {}, [earlier]) == [Answer.REPEATED]


def test_two_contents_in_one_call_the_first_counts() -> None:
    answers = judge({}, {}, [upload(1, 5), upload(1, 6), upload(1, 5)])
    assert answers == [Answer.APPLIED, Answer.CONFLICT, Answer.REPEATED]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_an_upload_is_written_down_without_loss(value: Any) -> None:
    sent = {"session": "s", "seq": 1, "recorded_at": value, "kind": value, "body": value, "prev_hash": value}
    given_ = json.loads(read(UploadIn.model_validate(sent), "terminal/t", AT, "d").given)
    assert given_ == sent | {"device": "d"}


@given(st.one_of(st.none(), st.integers(), st.text(max_size=30), st.datetimes().map(datetime.isoformat)))
def test_any_device_time_is_taken(value: Any) -> None:
    one = upload(1, recorded_at=value)
    assert one.clock_invalid == (one.device_time is not None)
    assert not one.clock_invalid or one.recorded_at == AT
    assert not one.fault


def test_times_at_the_edge_of_the_calendar() -> None:
    for wrong in (
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "1999-12-31T23:59:59Z",
        "2026-05-01T09:00:00",
    ):
        assert upload(1, recorded_at=wrong).clock_invalid, wrong
    right = upload(1, recorded_at="2099-01-01T00:00:00+08:00")
    assert (right.clock_invalid, right.recorded_at) == (False, datetime(2098, 12, 31, 16, tzinfo=UTC))
    assert right.recorded_at.utcoffset() == timedelta(0)


def test_the_canonical_bytes_and_the_chain_are_fixed() -> None:
    """Golden: devices in other languages compute the same."""
    body = {"b": ["蜂蜜 \U0001f36f", '"\\/\b\n\x1f\u007f\u2028'], "a": {"n": -1, "t": True, "z": None}}
    assert canonical(body) == (
        '{"a":{"n":-1,"t":true,"z":null},"b":["蜂蜜 \U0001f36f","\\"\\\\/\\b\\n\\u001f\u007f\u2028"]}'.encode()
    )
    assert digest_of(canonical(body)) == "39qqypiBRuVk9pPVb8SwRj6zpv73xpv0y7Nv8EelPOc"
    sent = {"session": "s", "seq": 2, "recorded_at": "2026-05-01T09:00:00+08:00", "kind": "sale", "body": body}
    chained = sent | {"body_hash": "39qqypiBRuVk9pPVb8SwRj6zpv73xpv0y7Nv8EelPOc", "prev_hash": "A" * 43}
    one = read(UploadIn.model_validate(chained), "terminal/stall-1", AT, "d-1")
    assert (one.fault, one.link) == ("", "n3Y178IwsR-IpaGtjVxmhp6RtE2e7_IpjYk4z0NtuvM")
