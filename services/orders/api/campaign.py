"""The routes of group-buys: open, join, take a chat's list, withdraw, read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from contracts.values import Principal
from services.kit.http import problems, responses
from services.kit.http.dependencies import IdempotencyKey, Limit
from services.kit.ids import Id
from services.kit.transaction.access_log import log_act
from services.orders.api import batch
from services.orders.api.callers import Anyone, Leader, Member, Orders
from services.orders.api.schemas import campaign as s
from services.orders.api.schemas import campaign_views as views
from services.orders.commands.campaign import open_campaign, withdraw_join
from services.orders.commands.join_campaign import JoinCampaigns
from services.orders.domain.access import may_read_join, may_relay, sees_campaign, sees_joins
from services.orders.domain.campaign.campaign import Campaign, Tally, Terms
from services.orders.repository import queries
from services.orders.repository.store import CampaignStore

RELAY_LIMIT = 1024 * 1024
router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])


@router.post("", status_code=201, response_model=views.CampaignView)
async def open_(body: s.NewCampaign, app: Orders, caller: Leader, key: IdempotencyKey = None) -> Response:
    """Open a group-buy until its cutoff; the caller leads it. The same request again gets the same answer."""
    command = body.command(key, caller)
    if not sees_campaign(caller, command.id, body.community):
        # As for a community that does not exist: the answer says nothing of those outside of the bounds.
        raise problems.unprocessable("/community", f"community {body.community} is not known")
    campaign = await open_campaign(app.context, app.catalog, command, caller)
    view = views.campaign_view(campaign, Tally(), 0)
    return responses.json(view, 201, {"Location": f"/v1/campaigns/{campaign.id}"})


@router.post("/{campaign}/joins", status_code=201, response_model=views.JoinAccepted)
async def join(campaign: Id, body: s.NewJoin, app: Orders, caller: Member, key: IdempotencyKey = None) -> Response:
    """Pledge: 201 once the join is stored durably and counted. It must be within the caps, and before the cutoff by
    the clock under the campaign's lock. The same request again gets the same answer, also after the cutoff. A join
    that is `pending` is paid as an order, once the group has formed.
    """
    found = await app.join_campaigns.submit(body.command(campaign, key, caller))
    return responses.json(views.join_accepted(found), 201, {"Location": f"/v1/campaigns/{campaign}/joins/{found.id}"})


@router.post("/{campaign}/relay", max_body_size=RELAY_LIMIT, response_model=views.EntryAnswers)
async def relay(request: Request, campaign: Id, body: s.RelayIn, app: Orders, caller: Leader) -> Response:
    """Take a chat's numbered list from the leader: each entry is a join, counted once for its chat and number however
    often the list is sent. Returns one answer for each, in order; an entry with other content than before is a
    conflict. `entry` is null in the answer to an entry without a usable number.
    """
    terms = await _led(app, campaign, caller, may_relay)

    async def answer(_n: int, item: Any) -> dict[str, Any]:
        return await _entry(app.join_campaigns, terms, body.chat, item, caller, request.url.path)

    async with app.context.unit() as uow:
        await log_act(uow, caller, "relay", f"campaign/{campaign}")
    return responses.json({"answers": await batch.each(body.entries, answer)})


@router.post("/{campaign}/joins/{join}:cancel", response_model=views.JoinView)
async def withdraw(campaign: Id, join: Id, app: Orders, caller: Member) -> Response:
    """Withdraw a pledge before the cutoff, with a full refund. Idempotent."""
    return responses.json(views.join_view(await withdraw_join(app.context, campaign, join, caller)))


@router.get("/{campaign}", response_model=views.CampaignView)
async def one(request: Request, campaign: Id, app: Orders, caller: Anyone) -> Response:
    """Return a campaign in its current state, with its pledges against the caps."""
    found, tally = await _find(app, campaign, caller)
    view = views.campaign_view(found, tally, await queries.people(app.context.pool, campaign))
    # Both terms only grow, and every field of the view changes with one of them.
    version = found.version + 2 * tally.joined - tally.standing
    return responses.etag(request, view, version)


@router.get("/{campaign}/verdict", response_model=views.CampaignVerdictView)
async def verdict(campaign: Id, app: Orders, caller: Anyone) -> Response:
    """Return the verdict and its inputs. The leader and staff get the stored bytes: a replay of the inputs gives the
    same verdict. All others get it with the places of the joins in the log, `n`, in place of their ids and members,
    which are shown of the caller's own joins only.
    """
    terms = (await _find(app, campaign, caller))[0].terms
    found = await queries.verdict(app.context.pool, campaign)
    if found is None:
        raise problems.not_found(f"the verdict of campaign {campaign}")
    inputs, text = found
    if not sees_joins(caller, terms):
        own = await queries.joins_of(app.context.pool, campaign, caller.subject)
        return responses.json(views.redacted_verdict(campaign, inputs, text, own))
    content = b'{"campaign_id":"%s","inputs":%s,"verdict":%s}' % (str(campaign).encode(), inputs, text)
    return Response(content, media_type="application/json")


@router.get("/{campaign}/joins", response_model=views.JoinPage)
async def joins(
    campaign: Id,
    app: Orders,
    caller: Leader,
    limit: Limit = 100,
    cursor: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    """List the joins in log order, without personal data."""
    await _led(app, campaign, caller, sees_joins)
    found = await queries.joins(app.context.pool, campaign, cursor, limit)
    return responses.page([views.join_view(join) for join in found], limit, "n")


@router.get("/{campaign}/joins/{join}", response_model=views.JoinView)
async def one_join(campaign: Id, join: Id, app: Orders, caller: Anyone) -> Response:
    """Return a join in its current state; once it is an order, with the order's id."""
    found, _ = (await app.context.store.find_joins([join])).get(join, (None, b""))
    if found is None or found.campaign != campaign or not may_read_join(caller, found.terms):
        raise problems.not_found(f"join {join} of campaign {campaign}")
    return responses.json(views.join_view(found))


async def _entry(
    joining: JoinCampaigns, campaign: Terms, chat: str, item: Any, caller: Principal, path: str
) -> dict[str, Any]:
    answer: dict[str, Any] = {"entry": _number(item)}
    try:
        command = batch.read(s.EntryIn, item).entry_command(campaign, chat, caller)
        answer["join_id"] = command.id
        return answer | {"status": 201, "join": views.join_accepted(await joining.submit(command))}
    except Exception as error:
        problem = problems.of(error)
        return answer | {"status": problem.status, "problem": problem.body(path)}


def _number(item: Any) -> int | None:
    number = item.get("entry") if isinstance(item, dict) else None
    return number if type(number) is int and 0 < number < 2**31 else None


async def _find(app: Orders, id: UUID, caller: Principal) -> tuple[Campaign, Tally]:
    """Return a campaign that the caller may see. Raises a 404."""
    store: CampaignStore = app.context.store
    campaign, _ = (await store.find_campaigns([id])).get(id, (None, b""))
    if campaign is None or not sees_campaign(caller, id, campaign.terms.community):
        raise problems.not_found(f"campaign {id}")
    return campaign, (await store.read_tallies([id]))[id]


async def _led(app: Orders, id: UUID, caller: Principal, allowed: Callable[[Principal, Terms], bool]) -> Terms:
    """Return the terms of a campaign with which this is `allowed`. Raises a 404."""
    store: CampaignStore = app.context.store
    campaign, _ = (await store.find_campaigns([id])).get(id, (None, b""))
    if campaign is None or not allowed(caller, campaign.terms):
        raise problems.not_found(f"campaign {id}")
    return campaign.terms
