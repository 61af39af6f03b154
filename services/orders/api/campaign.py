"""Routes of group-buys: opening a campaign, joining it, taking a chat's list, and reading how it stands and why."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.dependencies import IdempotencyKey, require
from services.kit.ids import Id, Namespace, id_of_request
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.api import answers, batch
from services.orders.api.schemas import campaign as s
from services.orders.commands.join_campaign import Joining
from services.orders.commands.place_orders import refused
from services.orders.commands.publish import CAMPAIGN, remind
from services.orders.domain.campaign.campaign import Campaign, CampaignState, Tally, opened
from services.orders.domain.campaign.join import JoinState, withdraw
from services.orders.domain.campaign.opening import open_campaign
from services.orders.domain.order.policy import Refusal
from services.orders.repository import campaign_intake as rows
from services.orders.repository import campaign_rows
from services.orders.repository.catalog import CatalogCache

Leader = Annotated[str, Depends(require("leader", "operator"))]
Buyer = Annotated[str, Depends(require("buyer", "leader", "operator"))]
Reader = Annotated[str, Depends(require("buyer", "leader", "operator", "terminal", "courier"))]
Limit = Annotated[int, Query(ge=1, le=500)]
RELAY_LIMIT = 1024 * 1024
_ENTRIES = Namespace("chat-entry")


def routes(context: Context, cache: CatalogCache) -> APIRouter:
    """Everything under `/v1/campaigns`."""
    router, joining = APIRouter(tags=["campaigns"]), Joining(context, cache)
    _opening(router, context, cache)
    _joining(router, context, joining)
    _reading(router, context)
    return router


def _opening(router: APIRouter, context: Context, cache: CatalogCache) -> None:
    @router.post("/v1/campaigns", status_code=201)
    async def open_(body: s.NewCampaign, _role: Leader, key: IdempotencyKey = None) -> Response:
        """Opens a group-buy until its cutoff. The same again: the same answer."""
        id, digest = id_of_request(key, body.campaign_id), body.digest()
        async with context.unit() as uow:
            found = await _open(uow, id, body, digest, cache)
            if not isinstance(found, Campaign):
                await rows.keep_conflicts(uow.conn, [(id, digest, body.model_dump(mode="json"))], uow.now)
        if not isinstance(found, Campaign):
            raise problems.conflict(f"campaign {id} was opened with other content")
        shown = s.shown_campaign(Campaign(found.terms), Tally(), 0)
        return answers.json(shown, 201, {"Location": f"/v1/campaigns/{id}"})


async def _open(uow: UnitOfWork, id: UUID, body: s.NewCampaign, digest: bytes, cache: CatalogCache) -> Campaign | None:
    """The campaign, opened now or before with the same content; None where the id has another. Raises a `Problem`."""
    known = await rows.find(uow.conn, [id])
    if not known:
        campaign = open_campaign(id, body.opening(), await cache.current(uow.conn), uow.now)
        if isinstance(campaign, Refusal):
            raise refused(campaign)
        if await rows.insert_campaign(uow.conn, campaign, digest):
            decision = opened(campaign)
            for event in decision.events:
                uow.emit(event)
            if decision.deadline:
                remind(uow, CAMPAIGN, str(id), decision.deadline)
            return campaign
        known = await rows.find(uow.conn, [id])
    found, stands = known[id]
    return found if stands == digest else None


def _joining(router: APIRouter, context: Context, joining: Joining) -> None:
    @router.post("/v1/campaigns/{campaign}/joins", status_code=201)
    async def join(campaign: Id, body: s.NewJoin, _role: Buyer, key: IdempotencyKey = None) -> Response:
        """Pledges: 201 once it is recorded durably and counts. Before the cutoff by the clock under the lock, and
        within the cap. The same again: the same answer, also after the cutoff.
        """
        found = await joining.submit(campaign, id_of_request(key, body.join_id), body)
        return answers.json(s.joined(found), 201, {"Location": f"/v1/campaigns/{campaign}/joins/{found.id}"})

    @router.post("/v1/campaigns/{campaign}/relay", max_body_size=RELAY_LIMIT)
    async def relay(request: Request, campaign: Id, body: s.RelayIn, _role: Leader) -> Response:
        """Takes a chat's numbered list: each entry is a join, once for its chat and number however often the list is
        sent. One answer for each, in order; an entry with other content than before is a conflict. `entry`
        is null in the answer to one without a usable number.
        """

        async def answer(_n: int, item: Any) -> dict[str, Any]:
            return await _entry(joining, campaign, body.chat, item, request.url.path)

        return answers.json({"answers": await batch.each(body.entries, answer)})

    @router.post("/v1/campaigns/{campaign}/joins/{join}:cancel")
    async def cancel(campaign: Id, join: Id, _role: Buyer) -> Response:
        """Takes a pledge back before the cutoff; what was paid with it goes back. Once more: the same answer."""
        async with context.unit() as uow:
            return answers.json(await _withdraw(uow, campaign, join))


async def _entry(joining: Joining, campaign: UUID, chat: str, item: Any, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"entry": _number(item)}
    try:
        body = batch.read(s.EntryIn, item)
        answer["join_id"] = _ENTRIES.id(f"{campaign}/{chat}/{body.entry}")
        found = await joining.submit(campaign, answer["join_id"], body)
        return answer | {"status": 201, "join": s.joined(found)}
    except Exception as error:
        problem = problems.of(error)
        return answer | {"status": problem.status, "problem": problem.body(path)}


def _number(item: Any) -> int | None:
    number = item.get("entry") if isinstance(item, dict) else None
    return number if type(number) is int and 0 < number < 2**31 else None


async def _withdraw(uow: UnitOfWork, campaign: UUID, id: UUID) -> dict[str, Any]:
    locked = await rows.lock_open(uow.conn, [campaign], uow.clock.now())
    now = uow.read_clock()
    tallies = await rows.lock_tallies(uow.conn, locked)
    join, _ = (await rows.find_joins(uow.conn, [id])).get(id, (None, b""))
    if join is None or join.campaign != campaign:
        raise problems.not_found(f"join {id} of campaign {campaign}")
    if join.state is JoinState.WITHDRAWN:
        return s.shown_join(join)
    found = locked.get(campaign)
    if found is None or found.state is not CampaignState.OPEN or now >= found.terms.closes_at:
        raise problems.conflict("the campaign is cut: once it has formed, cancel the order", "campaign-closed")
    after, event = withdraw(join)
    await rows.save_tallies(uow.conn, {campaign: tallies[campaign].without(join.terms)})
    await campaign_rows.save_joins(uow.conn, [after])
    uow.emit(event)
    return s.shown_join(after)


def _reading(router: APIRouter, context: Context) -> None:
    @router.get("/v1/campaigns/{campaign}")
    async def one(request: Request, campaign: Id, _role: Reader) -> Response:
        """A campaign as it stands: what is pledged against the caps, and its state."""
        found, tally = await _find(context, campaign)
        shown = s.shown_campaign(found, tally, await rows.people(context.pool, campaign))
        # Both only grow, and whatever is shown changes with one of them.
        version = found.version + 2 * tally.joined - tally.standing
        return answers.tagged(request, shown, version)

    @router.get("/v1/campaigns/{campaign}/verdict")
    async def verdict(campaign: Id, _role: Reader) -> Response:
        """The verdict and all that it was made of, as the bytes that were kept: replaying gives the same."""
        await _find(context, campaign)
        found = await rows.verdict(context.pool, campaign)
        if found is None:
            raise problems.not_found(f"the verdict of campaign {campaign}")
        inputs, text = found
        content = b'{"campaign_id":"%s","inputs":%s,"verdict":%s}' % (str(campaign).encode(), inputs, text)
        return Response(content, media_type="application/json")

    @router.get("/v1/campaigns/{campaign}/joins")
    async def joins(
        campaign: Id, _role: Leader, limit: Limit = 100, cursor: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0
    ) -> Response:
        """The joins in log order, nobody named."""
        await _find(context, campaign)
        found = await rows.page_of_joins(context.pool, campaign, cursor, limit)
        return answers.listed([s.shown_join(join) for join in found], limit, "n")

    @router.get("/v1/campaigns/{campaign}/joins/{join}")
    async def join(campaign: Id, join: Id, _role: Reader) -> Response:
        """A join as it stands; once it is an order, with its id."""
        found, _ = (await rows.find_joins(context.pool, [join])).get(join, (None, b""))
        if found is None or found.campaign != campaign:
            raise problems.not_found(f"join {join} of campaign {campaign}")
        return answers.json(s.shown_join(found))


async def _find(context: Context, id: UUID) -> tuple[Campaign, Tally]:
    found = await rows.find(context.pool, [id])
    if id not in found:
        raise problems.not_found(f"campaign {id}")
    return found[id][0], (await campaign_rows.tallies(context.pool, [id]))[id]
