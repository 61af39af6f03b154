"""Finds the members that orders and joins are for, by the keyed hash of the phone."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from contracts.phone import spelled
from contracts.values import Principal
from services.kit.context import Context
from services.kit.http import problems
from services.kit.transaction.access_log import log_act
from services.kit.transaction.ports import Ports
from services.orders.domain.member import Account, Credit, Sought, check_credit
from services.orders.domain.order.policy import Refusal
from services.orders.repository.store import PHONE, MemberStore


@dataclass(frozen=True, slots=True)
class Person:
    """The recipient's phone of an order or join in a community; `order` is the id of the order that it is or may
    become. A member is made where `makes` is true.
    """

    order: UUID
    tenant: str
    community: str
    phone: str
    makes: bool = True


class Members:
    """The members of orders, by `key`, which only orders has; without one there are none."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key

    async def of(self, store: MemberStore, ports: Ports, persons: Sequence[Person]) -> dict[UUID, UUID]:
        """Find or make the members of new orders, and return them by order. One statement for any number of them.

        An order that exists already makes none: its member may have been forgotten. A phone that is no number has none.
        """
        if self._key is None:
            return {}
        return await store.find_or_make_members(
            [
                Sought(one.order, one.tenant, one.community, self.hash(number), ports.new_id(), one.makes)
                for one in persons
                if (number := spelled(one.phone))
            ]
        )

    def name(self, phone: str) -> str | None:
        """Return a person's name within a campaign by the phone, or None where that is no number."""
        number = spelled(phone) if self._key else None
        return f"{PHONE}{self.hash(number).hex()}" if number else None

    def hash(self, number: str) -> bytes:
        """Return the keyed hash of a number in E.164."""
        assert self._key is not None
        return hmac.digest(self._key, number.encode(), "sha256")


class Accounts:
    """The accounts of one transaction that orders and joins are charged to, locked until its end. Three statements for
    any number of them, none where no request is on account of a member.
    """

    def __init__(self, member_of: dict[UUID, UUID], accounts: dict[UUID, Account]) -> None:
        self._member_of, self._accounts = member_of, accounts

    @classmethod
    async def lock(cls, members: Members, store: MemberStore, ports: Ports, persons: Sequence[Person]) -> Accounts:
        """Lock the accounts of the persons' members; none is made."""
        found = await members.of(store, ports, [replace(person, makes=False) for person in persons])
        return cls(found, await store.lock_accounts(set(found.values())))

    def charge(self, order: UUID, subject: str | None, total_fen: int) -> Refusal | None:
        """Charge an order to the account of its member, or return the reason against it; without a `subject` it is on
        no account.
        """
        if subject is None:
            return None
        member = self._member_of.get(order)
        account = self._accounts.get(member) if member else None
        refusal = check_credit(account, subject, total_fen)
        if member and account and not refusal:
            self._accounts[member] = replace(account, owed_fen=account.owed_fen + total_fen)
        return refusal


async def set_credit(
    context: Context, id: UUID, credit: Credit, caller: Principal, allowed: Callable[[str], bool]
) -> None:
    """Write the credit of a member, and who did. Raises a 404 for an unknown member, and for one of a community that is
    not `allowed`.
    """
    async with context.unit() as uow:
        store: MemberStore = uow.store
        member = await store.lock_member(id)
        if member is None or not allowed(member.community):
            raise problems.not_found(f"member member.{id}")
        if member.credit != credit:
            await store.save_credit(id, credit)
            await log_act(uow, caller, "credit", f"member/{id}")
