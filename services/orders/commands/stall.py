"""Takes the uploads of a stall terminal and returns its prices, sold-out items and allotment; resets its device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contracts.events.catalog import ItemPut, PricePut
from contracts.events.orders import SaleConflicted
from contracts.values import Channel, Principal, pool_of
from services.kit.context import Context
from services.kit.http import problems
from services.kit.transaction.access_log import log_act
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads import ingestion
from services.kit.uploads.ingestion import Accepted
from services.kit.uploads.sessions import Progress, SessionTable
from services.kit.uploads.signed import LOCAL, Received, Sender, receive
from services.kit.uploads.upload import Key, Session, Upload, UploadAnswer, UploadIn
from services.orders.commands.refusal import problem_of
from services.orders.commands.stall_facts import origin_of, read_fact
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.policy import unreadable_entry
from services.orders.domain.order.pricing import price_at
from services.orders.domain.stall import Sale, StallUpload, Void, conflicted, fold
from services.orders.repository.catalog import CatalogCache
from services.orders.repository.store import StallStore, Store

Effects = dict[Key, tuple[str, str]]
_CONFLICT = ("conflict", "this sale id has another content, or belongs to another terminal")


@dataclass(frozen=True, slots=True)
class SyncTerminal:
    """The uploads of a terminal's device, any number of times; without any it only reads."""

    terminal: str
    device: str
    market_day: str
    uploads: Sequence[UploadIn] = ()
    sender: Sender = LOCAL


@dataclass(frozen=True, slots=True)
class StallPrice:
    """A price at stalls, with the unit of its item."""

    price: PricePut
    item: ItemPut


@dataclass(frozen=True, slots=True)
class Synced:
    """The answer for a terminal. `sessions` are those of its device; a retired device is not `active`, and gets no
    allotment.
    """

    pool: str
    active: bool
    uploads: list[UploadAnswer]
    sessions: dict[str, Progress]
    prices: list[StallPrice]
    sold_out: list[str]
    allotment: list[dict[str, Any]]


async def sync_terminal(context: Context, catalog: CatalogCache, command: SyncTerminal) -> Synced:
    """Take each upload on its own: it takes effect once, or is kept with the reason, and never blocks another.

    Raises a 404 or 422 for an unknown terminal or market day, a 409 `other-device`, and a 503 where one of their
    entries can't be read.
    """
    async with context.unit() as uow:
        return await _sync(uow, await catalog.current(uow.store), command)


async def _sync(uow: UnitOfWork, catalog: Catalog, command: SyncTerminal) -> Synced:
    store: Store = uow.store
    id, device = command.terminal, command.device
    pool = await _lock_pool(store, catalog, command)
    owner = f"terminal/{id}"
    _check_device(command)
    received = await receive(uow, owner, command.sender, device, command.uploads, uow.now)
    active = await _is_active(store, command, received)
    uploads = received.uploads
    facts = [read_fact(upload, id, pool, catalog) for upload in uploads]
    uploads = [
        replace(upload, fault=fact) if isinstance(fact, str) else upload
        for upload, fact in zip(uploads, facts, strict=True)
    ]
    accepted = await ingestion.accept(uow, owner, uploads, {"pool": pool}, received.places)
    effects: Effects = {}
    if uploads:
        by_key: dict[Key, StallUpload] = {}
        for upload, fact in zip(uploads, facts, strict=True):
            if isinstance(fact, StallUpload):  # of two contents under one number the first counts
                by_key.setdefault(upload.key, fact)
        through = {session: progress.through for session, progress in accepted.sessions.items()}
        effects = await _apply(uow, id, [by_key[upload.key] for upload in accepted.fresh], through)
        _publish_conflicts(uow, id, pool, accepted)
    return Synced(
        pool=pool,
        active=active,
        uploads=accepted.device_answers(effects),
        sessions={session: progress for (owner, session), progress in accepted.sessions.items() if owner == device},
        prices=_stall_prices(uow, catalog) if received.active else [],
        sold_out=await store.sold_out_items(pool) if received.active else [],
        allotment=await store.read_allotments(id, pool) if active else [],
    )


async def _lock_pool(store: StallStore, catalog: Catalog, command: SyncTerminal) -> str:
    """Lock the terminal and return the stock pool of its site on the market day."""
    for path in (f"terminals/{command.terminal}", f"market-days/{command.market_day}"):
        if path in catalog.unreadable:
            raise problem_of(unreadable_entry("", path))
    terminal = await store.lock_terminal(command.terminal)
    if terminal is None:
        raise problems.not_found(f"terminal {command.terminal}")
    if command.market_day not in catalog.market_days:
        raise problems.unprocessable("/market_day", f"market day {command.market_day} is not known")
    return pool_of(command.market_day, terminal["site"])


async def _is_active(store: StallStore, command: SyncTerminal, received: Received) -> bool:
    """Return True for the terminal's device: the one with the active key, else the first that syncs."""
    id, device = command.terminal, command.device
    if not received.active:
        return False
    active, retired = await store.bind_device(id, device)
    if not command.sender.is_local:
        if active != device:
            await store.reset_device(id, device)
        return True
    if active == device or retired:
        return active == device
    raise problems.conflict(
        f"terminal {id} works with device {active}, so {device} can't sync for it. Use that device, or let an operator "
        f"change it with POST /v1/terminals/{id}:reset-device",
        "other-device",
    )


def _check_device(command: SyncTerminal) -> None:
    for n, one in enumerate(command.uploads):
        if one.device not in {None, command.device}:
            expected = f"must be {command.device}, the device of this request, or be left out"
            raise problems.unprocessable(f"/uploads/{n}/device", expected)


async def _apply(uow: UnitOfWork, id: str, fresh: Sequence[StallUpload], received: Mapping[Session, int]) -> Effects:
    """Apply new facts and publish their events. Return the facts that are conflicts."""
    sales = {one.body.sale for one in fresh if isinstance(one.body, Sale | Void)}
    store: StallStore = uow.store
    before = await store.load_stall(id, sales)
    after, events = fold(before, fresh, received)
    await store.save_stall(id, before, after, uow.now)
    for event in events:
        uow.emit(event)
    return {(e.device, e.session, e.seq_no): _CONFLICT for e in events if isinstance(e, SaleConflicted)}


def _publish_conflicts(uow: UnitOfWork, id: str, pool: str, accepted: Accepted) -> None:
    """Publish each other content under a used number, once."""
    for upload in accepted.news:
        first = accepted.stored[upload.key].digest
        uow.emit(conflicted(origin_of(upload, id, pool), first.hex(), upload.digest.hex()))


def _stall_prices(uow: UnitOfWork, catalog: Catalog) -> list[StallPrice]:
    """Return the prices at stalls in effect now or later, so that a terminal can change over without a network."""
    found: list[StallPrice] = []
    for (item, channel), prices in sorted(catalog.prices.items()):
        if channel != Channel.STALL or item not in catalog.items:
            continue
        current = price_at(prices, uow.now)
        later = sorted((p for p in prices if p.effective_from > uow.now), key=lambda p: p.effective_from)
        found += [StallPrice(p, catalog.items[item]) for p in ([current] if current else []) + later]
    return found


async def apply_kept_upload(uow: UnitOfWork, owner: str, upload: Upload, about: Mapping[str, str]) -> str:
    """Apply an upload that was kept. Return why it still has no effect, else the empty text."""
    store: Store = uow.store
    id = owner.partition("/")[2]
    if await store.lock_terminal(id) is None:
        return f"terminal {id} is not in the catalogue"
    fact = read_fact(upload, id, about["pool"], await CatalogCache().current(store))
    if isinstance(fact, str):
        return fact
    progress = await uow.table(SessionTable).progress(owner)
    await _apply(uow, id, [fact], {session: state.through for session, state in progress.items()})
    return ""


async def reset_device(context: Context, id: str, device: str | None, caller: Principal) -> list[str]:
    """Retire the terminal's device: it may still upload what it holds, and gets no allotment. `device`, or else the
    next new one that syncs, becomes active. Return all retired devices. Raises a 404 for an unknown terminal.
    """
    async with context.unit() as uow:
        store: StallStore = uow.store
        if await store.lock_terminal(id) is None:
            raise problems.not_found(f"terminal {id}")
        await log_act(uow, caller, "reset-device", f"terminal/{id}")
        return await store.reset_device(id, device)
