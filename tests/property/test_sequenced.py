"""Uploads in any order, split and repeated anyhow, end in the same state; altered content is kept as a conflict."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.kit.sequenced import Judged, Key, Upload, advance, judge

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)


def upload(seq: int, content: int = 0, session: str = "s-1") -> Upload:
    """A sale; `content` is what the device says that it sold."""
    return Upload(
        device="d-1", session=session, seq=seq, recorded_at=AT, kind="sale", body={"grams": content, "seq": seq}
    )


class Store:
    """What the tables hold, in memory: facts, conflicts, and per session how far it is complete."""

    def __init__(self) -> None:
        self.facts: dict[Key, Upload] = {}
        self.conflicts: set[tuple[Key, bytes]] = set()
        self.through: dict[str, int] = {}
        self.gaps: dict[str, list[tuple[int, int]]] = {}

    def accept(self, uploads: list[Upload]) -> Judged:
        judged = judge({key: fact.digest for key, fact in self.facts.items()}, uploads)
        self.facts |= {one.key: one for one in judged.fresh}
        self.conflicts |= {(one.key, one.digest) for one in judged.conflicts}
        for session in {one.session for one in uploads}:
            known = self.through.get(session, 0)
            later = [key[2] for key in self.facts if key[1] == session and key[2] > known]
            self.through[session], self.gaps[session] = advance(known, later)
        return judged


sessions = st.dictionaries(st.sampled_from(["s-1", "s-2"]), st.sets(st.integers(1, 30), min_size=1), min_size=1)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Upload], list[list[Upload]]]:
    """Some uploads, and calls in which each of them comes at least once."""
    numbers = draw(sessions)
    uploads = [upload(seq, session=session) for session, seqs in numbers.items() for seq in sorted(seqs)]
    repeats = draw(st.lists(st.sampled_from(uploads), max_size=20))
    stream = draw(st.permutations([*uploads, *repeats]))
    calls: list[list[Upload]] = [[]]
    for one in stream:
        calls[-1].append(one)
        if draw(st.booleans()):
            calls.append([])
    return uploads, [call for call in calls if call]


@given(deliveries())
def test_any_order_split_and_repetition_gives_the_same_state(given: tuple[list[Upload], list[list[Upload]]]) -> None:
    uploads, calls = given
    once, anyhow = Store(), Store()
    once.accept(uploads)
    judged = [anyhow.accept(call) for call in calls]
    assert anyhow.facts == once.facts
    assert anyhow.through == once.through
    assert anyhow.gaps == once.gaps
    assert not anyhow.conflicts
    fresh = [one.key for each in judged for one in each.fresh]
    assert sorted(fresh) == sorted(one.key for one in uploads), "each takes effect exactly once"
    assert sum(len(each.fresh) + len(each.repeated) for each in judged) == sum(map(len, calls))


@given(st.sets(st.integers(1, 60)))
def test_gaps_are_exactly_what_is_missing(seqs: set[int]) -> None:
    through, gaps = advance(0, seqs)
    missing = {n for first, last in gaps for n in range(first, last + 1)}
    assert set(range(1, through + 1)) <= seqs
    assert through + 1 not in seqs
    assert missing == set(range(1, max(seqs, default=0))) - seqs
    assert all(first <= last for first, last in gaps)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2)), min_size=1, max_size=30))
def test_altered_content_is_a_conflict_and_is_kept(sent: list[tuple[int, int]]) -> None:
    store = Store()
    first: dict[int, int] = {}
    for seq, content in sent:
        judged = store.accept([upload(seq, content)])
        if first.setdefault(seq, content) == content:
            assert not judged.conflicts
        else:
            assert [one.body["grams"] for one in judged.conflicts] == [content]
    assert {key[2]: fact.body["grams"] for key, fact in store.facts.items()} == first
    kept = {(one.key, one.digest) for one in (upload(*pair) for pair in sent) if first[one.seq] != one.body["grams"]}
    assert store.conflicts == kept


def test_the_devices_clock_is_no_content() -> None:
    earlier = upload(1).model_copy(update={"recorded_at": AT.replace(hour=1)})
    assert judge({upload(1).key: upload(1).digest}, [earlier]).repeated == (earlier,)


def test_two_contents_in_one_call_the_first_counts() -> None:
    judged = judge({}, [upload(1, 5), upload(1, 6), upload(1, 5)])
    assert [one.body["grams"] for one in judged.fresh] == [5]
    assert [one.body["grams"] for one in judged.conflicts] == [6]
    assert [one.body["grams"] for one in judged.repeated] == [5]
