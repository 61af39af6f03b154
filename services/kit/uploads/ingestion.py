"""Idempotent ingestion of offline device logs: batches may arrive in any order, split or repeated; each upload takes
effect once.

A device numbers what it records in a session from 1 without holes, so the numbers prove completeness, and nothing
more: a fact takes effect when it arrives, also while earlier ones are missing. One that can't take effect is kept,
counts as received, and waits for an operator among the dead letters; see `kept`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.kit.http.problems import Problem
from services.kit.telemetry.metrics import UPLOADS_FLAGGED
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads import kept, quarantine
from services.kit.uploads.sessions import Known, Progress, SessionTable
from services.kit.uploads.upload import Answer, Key, Session, Upload, UploadAnswer

AHEAD = 100_000
"""The most by which an upload may be above the highest number of its session."""
OPEN_SESSIONS, OPEN_FOR = 32, timedelta(hours=24)
"""The most sessions of an owner that may get new uploads within that (business) time."""
GAPS = 1_000
"""The most ranges of numbers that an owner's sessions may lack."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result for each upload, in the order given. `stored` has the uploads that are stored under their numbers,
    `news` the conflicts with new content, `broken` the uploads that do not follow from the number before, `sessions`
    all sessions of the owner. `forked` are signed uploads with the same predecessor as another one.
    """

    uploads: tuple[Upload, ...]
    answers: tuple[Answer, ...]
    stored: Mapping[Key, Known]
    news: tuple[Upload, ...]
    broken: frozenset[Key]
    sessions: Mapping[Session, Progress]
    forked: frozenset[Key] = frozenset()

    def of(self, answer: Answer) -> list[Upload]:
        """Return the uploads with this answer, by device, session and number."""
        found = [upload for upload, one in zip(self.uploads, self.answers, strict=True) if one is answer]
        return sorted(found, key=lambda upload: upload.key)

    @property
    def fresh(self) -> list[Upload]:
        """Uploads to act on: new and without a fault."""
        return self.of(Answer.APPLIED)

    def device_answers(self, effects: Mapping[Key, tuple[str, str]]) -> list[UploadAnswer]:
        """Return the answers; `effects` has answer and reason of fresh uploads that did not simply apply."""
        return [
            self._answer(upload, answer, effects) for upload, answer in zip(self.uploads, self.answers, strict=True)
        ]

    def _answer(self, upload: Upload, answer: Answer, effects: Mapping[Key, tuple[str, str]]) -> UploadAnswer:
        word, reason = str(answer), ""
        if answer is Answer.APPLIED:
            word, reason = effects.get(upload.key, (word, ""))
        elif answer is Answer.KEPT:
            reason = self.stored[upload.key].kept or ""
        elif answer is Answer.QUARANTINED:
            reason = upload.quarantine or "it waits for a decision of staff, or was refused"
        elif answer is Answer.CONFLICT:
            reason = "this number has another content; the first one counts"
        elif answer is Answer.REFUSED:
            last = self.sessions[upload.device, upload.session].last
            reason = f"{upload.seq} is more than {AHEAD} above {last}, the highest number of this session: not stored; "
            reason += "send the numbers between first"
        flags = ["clock-invalid"] * upload.clock_invalid + ["chain-broken"] * (upload.key in self.broken)
        flags += ["forked"] * (upload.key in self.forked)
        return UploadAnswer(
            device=upload.device, session=upload.session, seq=upload.seq, answer=word, reason=reason, flags=flags
        )


def judge(known: Mapping[Key, Known], last: Mapping[Session, int], uploads: Iterable[Upload]) -> list[Answer]:
    """Return one answer per upload, from the stored uploads and the highest number of each session; of two contents
    under one number the first counts, of signed uploads of two links.
    """
    taken = dict(known)
    answers: list[Answer] = []
    for upload in uploads:
        stored = taken.get(upload.key)
        if not upload.counts:
            answers.append(Answer.QUARANTINED)
        elif stored is not None and stored.digest != upload.digest:
            answers.append(Answer.CONFLICT)
        elif stored is not None:
            answers.append(_again(stored))
        elif upload.seq > last.get((upload.device, upload.session), 0) + AHEAD:
            answers.append(Answer.REFUSED)
        else:
            taken[upload.key] = Known.of(upload)
            answers.append(_again(taken[upload.key], first=True))
    return answers


def _again(stored: Known, *, first: bool = False) -> Answer:
    if stored.quarantined:
        return Answer.QUARANTINED
    if stored.kept is not None:
        return Answer.KEPT
    return Answer.APPLIED if first else Answer.REPEATED


def advance(before: Progress, arrived: Iterable[int], now: datetime) -> Progress:
    """Return the session after these numbers have arrived."""
    seqs = sorted(set(arrived))
    gaps: list[tuple[int, int]] = []
    for first, end in before.gaps:
        for seq in seqs[bisect_left(seqs, first) : bisect_right(seqs, end)]:
            if seq > first:
                gaps.append((first, seq - 1))
            first = seq + 1
        if first <= end:
            gaps.append((first, end))
    last = before.last
    for seq in seqs[bisect_right(seqs, last) :]:
        if seq > last + 1:
            gaps.append((last + 1, seq - 1))
        last = seq
    return Progress(gaps[0][0] - 1 if gaps else last, last, tuple(gaps), now)


async def accept(
    uow: UnitOfWork,
    owner: str,
    uploads: Sequence[Upload],
    about: Mapping[str, str] | None = None,
    places: Sequence[str] | None = None,
) -> Accepted:
    """Store the uploads of one owner (`terminal/ID`, `courier/ID`) in the caller's transaction; the caller acts on
    `fresh`. `about` has the values that a later redrive of a kept upload needs, `places` the sites or stations of the
    staff that decides about a quarantined one, None for any.

    A constant number of statements. Locks the sessions first, in order, so two calls never see half of each other.
    Raises a 409 problem, with nothing stored, where the owner would have too many open sessions or gaps, or too many
    uploads that wait for a decision.
    """
    table = uow.table(SessionTable)
    named = sorted({(upload.device, upload.session) for upload in uploads if upload.counts})
    if named:
        await table.lock(owner, named, uow.now)
    sessions = await table.progress(owner)
    if not uploads:
        return Accepted((), (), {}, (), frozenset(), sessions)
    known = await table.known(owner, uploads)
    answers = judge(known, {session: state.last for session, state in sessions.items()}, uploads)
    new = _new(known, uploads, answers)
    moved = {session: advance(sessions[session], seqs, uow.now) for session, seqs in _by_session(new).items()}
    after = {**sessions, **moved}
    devices = {upload.device for upload in uploads if upload.signed_by is not None}  # a stolen one must not stop others
    _limit(owner, _of(sessions, devices), _of(after, devices), uow.now)
    broken, late = _chain(known, new)
    await table.insert(owner, new, broken)
    conflicts = [upload for upload, answer in zip(uploads, answers, strict=True) if answer is Answer.CONFLICT]
    news = await table.insert_conflicts(owner, conflicts)
    await table.move(owner, moved, late)
    forked = await _forks(table, owner, new)
    await kept.store(uow, owner, [upload for upload in new if upload.fault and not upload.quarantine], about or {})
    held = [upload for upload in new if upload.quarantine] + [upload for upload in uploads if not upload.counts]
    await quarantine.store(uow, owner, held, about or {}, places)
    stored = known | {upload.key: Known.of(upload) for upload in new}
    _count(new, news, broken, late)
    UPLOADS_FLAGGED.labels("forked").inc(len(forked) + sum(upload.signed_by is not None for upload in news))
    broken |= {*late, *(key for key, one in known.items() if one.chain_broken)}
    return Accepted(tuple(uploads), tuple(answers), stored, tuple(news), frozenset(broken), after, frozenset(forked))


def _of(sessions: Mapping[Session, Progress], devices: set[str]) -> Mapping[Session, Progress]:
    """Return the sessions of these devices; all where there is none."""
    return {key: state for key, state in sessions.items() if not devices or key[0] in devices}


async def _forks(table: SessionTable, owner: str, new: Sequence[Upload]) -> set[Key]:
    """Mark new signed uploads with the predecessor of another one: a device was copied, or set back to an older state.
    Return them.
    """
    mine = {upload.prev_hash: upload.key for upload in new if upload.signed_by is not None and upload.prev_hash}
    if not mine:
        return set()
    found = [(key, mine[link]) for key, link in await table.successors(owner, list(mine)) if key != mine[link]]
    if found:
        await table.mark_forked(owner, sorted({key for pair in found for key in pair}))
    return {key for _, key in found}


def _count(new: Sequence[Upload], news: Sequence[Upload], broken: set[Key], late: Sequence[Key]) -> None:
    UPLOADS_FLAGGED.labels("kept").inc(sum(bool(upload.fault) for upload in new))
    UPLOADS_FLAGGED.labels("clock-invalid").inc(sum(upload.clock_invalid for upload in new))
    UPLOADS_FLAGGED.labels("chain-broken").inc(len(broken) + len(late))
    UPLOADS_FLAGGED.labels("conflict").inc(len(news))


def _new(known: Mapping[Key, Known], uploads: Sequence[Upload], answers: Sequence[Answer]) -> list[Upload]:
    found: dict[Key, Upload] = {}
    for upload, answer in zip(uploads, answers, strict=True):
        stored = {Answer.APPLIED, Answer.KEPT, Answer.QUARANTINED}
        if answer in stored and upload.counts and upload.key not in known:
            found.setdefault(upload.key, upload)
    return [found[key] for key in sorted(found)]


def _by_session(uploads: Iterable[Upload]) -> dict[Session, list[int]]:
    found: dict[Session, list[int]] = {}
    for upload in uploads:
        found.setdefault((upload.device, upload.session), []).append(upload.seq)
    return found


def _limit(owner: str, before: Mapping[Session, Progress], after: Mapping[Session, Progress], now: datetime) -> None:
    def live(states: Mapping[Session, Progress]) -> int:
        return sum(bool(state.last) and state.touched_at > now - OPEN_FOR for state in states.values())

    if live(after) > max(OPEN_SESSIONS, live(before)):
        raise _too_many(
            "too-many-sessions",
            f"{owner} would have {live(after)} open sessions, at most {OPEN_SESSIONS} are allowed: continue one "
            "of them. A session is open until it has had nothing new for 24 hours",
        )
    gaps = sum(len(state.gaps) for state in after.values())
    if gaps > max(GAPS, sum(len(state.gaps) for state in before.values())):
        raise _too_many(
            "too-many-gaps",
            f"the sessions of {owner} would have {gaps} gaps, at most {GAPS} are allowed: send missing numbers first, "
            "each session from its lowest missing number on",
        )


def _too_many(code: str, detail: str) -> Problem:
    return Problem(409, code, "Too many gaps" if "gaps" in code else "Too many sessions", detail)


def _chain(known: Mapping[Key, Known], new: Sequence[Upload]) -> tuple[set[Key], list[Key]]:
    """Return the new uploads that do not follow from the number before, and the stored ones that turn out not to."""
    links = {key: one.link for key, one in known.items()} | {upload.key: upload.link for upload in new}
    broken = {
        upload.key
        for upload in new
        if upload.prev_hash is not None
        and (before := links.get((upload.device, upload.session, upload.seq - 1))) is not None
        and before != upload.prev_hash
    }
    late = [
        key
        for upload in new
        if (after := known.get(key := (upload.device, upload.session, upload.seq + 1))) is not None
        and after.prev_hash is not None
        and after.prev_hash != upload.link
    ]
    return broken, late
