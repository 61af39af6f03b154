"""Taking joins: requests that arrive while a commit runs share the next one, and are counted against the cap in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from services.kit.context import Context
from services.kit.faults import point
from services.kit.http import problems
from services.kit.http.group_commit import GroupCommit
from services.kit.http.problems import Problem
from services.kit.ids import new_id
from services.kit.transaction.unit_of_work import CORRELATION, TRACEPARENT, UnitOfWork
from services.orders.api.schemas.campaign import NewJoin
from services.orders.commands.place_orders import GROUP, new_codes, refused
from services.orders.domain.campaign.campaign import Campaign, Tally
from services.orders.domain.campaign.join import Join, accepted
from services.orders.domain.campaign.opening import pledge
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.policy import Refusal
from services.orders.repository import campaign_intake as rows
from services.orders.repository.catalog import CatalogCache


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to join a campaign under an id; `digest` tells whether two of one id ask for the same."""

    campaign: UUID
    join: UUID
    body: NewJoin
    digest: bytes
    request: str | None
    traceparent: str | None

    @property
    def caller(self) -> rows.Caller:
        """Who joins what."""
        return self.campaign, self.body.caller()


@dataclass(slots=True)
class Counter:
    """The campaigns of one group under their locks, and the joins that were counted so far."""

    catalog: Catalog
    campaigns: Mapping[UUID, Campaign]
    tallies: dict[UUID, Tally]
    members: dict[rows.Caller, int]

    def count(self, one: Submission, uow: UnitOfWork) -> Join | Refusal:
        """The join, counted, or why it is not taken."""
        campaign = self.campaigns.get(one.campaign)
        if campaign is None:
            return Refusal(404, "not-found", "", f"campaign {one.campaign} does not exist")
        tally = self.tallies.get(one.campaign, Tally())
        asked = one.body.pledging(one.join, new_id(), *new_codes(1))
        join = pledge(asked, campaign, tally, self.members.get(one.caller), self.catalog, uow.now)
        if isinstance(join, Join):
            self.tallies[one.campaign] = tally.with_join(join.terms)
            self.members.setdefault(one.caller, join.member)
        return join


class Joining:
    """The accept path of joins. `submit` returns only after COMMIT, and the same submission again gets the same join,
    also after the cutoff.
    """

    def __init__(self, context: Context, catalog: CatalogCache) -> None:
        self._context, self._catalog = context, catalog
        self._group = GroupCommit(self._commit, lambda one: one.join, GROUP)

    async def submit(self, campaign: UUID, join: UUID, body: NewJoin) -> Join:
        """The join as it stands, taken by this or an earlier request. Raises a `Problem` where it is not taken;
        where the outcome is unknown that is a 503, and the same request again is safe.
        """
        one = Submission(campaign, join, body, body.digest(campaign), CORRELATION.get(), TRACEPARENT.get())
        answer = await self._group.submit(one)
        if isinstance(answer, Problem):
            raise answer
        return answer

    async def _commit(self, group: list[Submission]) -> list[Join | Problem]:
        async with self._context.unit() as uow:
            answers = await self._accept(uow, group)
            point("accept.before_commit")
        point("accept.after_commit")
        return answers

    async def _accept(self, uow: UnitOfWork, group: list[Submission]) -> list[Join | Problem]:
        counter = await self._lock(uow, group)
        first: dict[UUID, Submission] = {}
        for one in group:
            first.setdefault(one.join, one)
        stands = await rows.find_joins(uow.conn, first)
        fresh = [one for one in first.values() if one.join not in stands]
        counter.members = await rows.members(uow.conn, [one.caller for one in fresh])
        judged = {one.join: counter.count(one, uow) for one in fresh}
        new = [join for join in judged.values() if isinstance(join, Join)]
        await self._insert(uow, new, first, counter.tallies)
        stands |= {join.id: (join, first[join.id].digest) for join in new}
        others = [one for one in group if one.join in stands and stands[one.join][1] != one.digest]
        kept = [(one.join, one.digest, one.body.without_person()) for one in others]
        await rows.keep_conflicts(uow.conn, kept, uow.now)
        return [_answer(one, stands, judged) for one in group]

    async def _lock(self, uow: UnitOfWork, group: list[Submission]) -> Counter:
        """Head rows shared, then the clock, then the tallies: who had the head row before the cutoff is in time."""
        catalog = await self._catalog.current(uow.conn)
        ids = {one.campaign for one in group}
        locked = await rows.lock_open(uow.conn, ids, uow.clock.now())
        uow.read_clock()
        tallies = await rows.lock_tallies(uow.conn, locked)
        late = {id: found for id, (found, _) in (await rows.find(uow.conn, ids - locked.keys())).items()}
        return Counter(catalog, locked | late, tallies, {})

    async def _insert(
        self, uow: UnitOfWork, joins: list[Join], first: Mapping[UUID, Submission], tallies: Mapping[UUID, Tally]
    ) -> None:
        digests = {join.id: first[join.id].digest for join in joins}
        people = {join.id: (first[join.id].body.caller(), first[join.id].body.person()) for join in joins}
        await rows.insert_joins(uow.conn, joins, digests, people)
        await rows.save_tallies(uow.conn, {join.campaign: tallies[join.campaign] for join in joins})
        for join in joins:
            # The group runs in one task, so what its events say of their request is set for each.
            CORRELATION.set(first[join.id].request)
            TRACEPARENT.set(first[join.id].traceparent)
            uow.emit(accepted(join))


def _answer(
    one: Submission, stands: dict[UUID, tuple[Join, bytes]], judged: Mapping[UUID, Join | Refusal]
) -> Join | Problem:
    if one.join in stands:
        join, digest = stands[one.join]
        return join if digest == one.digest else problems.conflict(f"join {one.join} was taken with other content")
    why = judged[one.join]
    assert isinstance(why, Refusal)
    return problems.not_found(f"campaign {one.campaign}") if why.status == 404 else refused(why)
