"""The store of access on PostgreSQL. Columns have the names of the dataclasses' fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from contracts.events.access import KeyStatus, Status
from contracts.values import Bounds
from services.access.domain.account import Account, Grant
from services.access.domain.device import DeviceKey
from services.access.domain.enrolment import Enrolment
from services.access.domain.invitation import Invitation
from services.access.domain.otp import LIFE, Otp
from services.access.domain.refresh import RefreshToken
from services.access.domain.signing_key import SigningKey
from services.access.domain.staff import Login
from services.access.repository import statements
from services.access.repository.store import AccessStore
from services.kit.database import Connection, lock_rows


class PostgresAccess(AccessStore):
    """The store over one connection."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def lock_attempts(self, digests: Iterable[bytes]) -> dict[bytes, list[datetime]]:
        wanted = sorted(digests)
        await self._conn.execute(statements.NEW_ATTEMPTS, wanted)
        found = await lock_rows(self._conn, "attempt", wanted, column="digest", type_="bytea")
        return {row["digest"]: list(row["times"]) for row in found}

    async def save_attempts(self, digest: bytes, times: Sequence[datetime], until: datetime) -> None:
        await self._conn.execute("update attempt set (times, until) = ($2, $3) where digest = $1", digest, times, until)

    async def lock_enrolment(self, handle: str) -> Enrolment | None:
        row = await self._conn.fetchrow("select * from enrolment where handle = $1 for update", handle)
        return _of(Enrolment, row, bounds=_bounds) if row else None

    async def save_enrolment(self, enrolment: Enrolment) -> None:
        one = enrolment
        await self._conn.execute("delete from enrolment where (handle = $1) <> (subject = $2)", one.handle, one.subject)
        await self._conn.execute(
            statements.ENROLMENT, one.handle, one.digest, one.subject, one.kind, one.tenant, _json(one.bounds),
            one.made_by, one.expires_at, one.tries,
        )  # fmt: skip

    async def delete_enrolments(self, subject: str) -> None:
        await self._conn.execute("delete from enrolment where subject = $1", subject)

    async def lock_otp(self, phone: bytes) -> Otp | None:
        row = await self._conn.fetchrow("select * from otp where phone = $1 for update", phone)
        return _of(Otp, row) if row else None

    async def save_otp(self, otp: Otp) -> None:
        await self._conn.execute(statements.OTP, otp.phone, otp.digest, otp.made_at, otp.tries)

    async def delete_otp(self, phone: bytes) -> None:
        await self._conn.execute("delete from otp where phone = $1", phone)

    async def save_invitation(self, invitation: Invitation) -> None:
        one, grant = invitation, invitation.grant
        await self._conn.execute(
            "insert into invitation values ($1, $2, $3, $4, $5, $6, $7)",
            one.digest, grant.kind, grant.role, grant.tenant, _json(grant.bounds), one.made_by, one.expires_at,
        )  # fmt: skip

    async def lock_invitation(self, digest: bytes) -> Invitation | None:
        row = await self._conn.fetchrow("select * from invitation where digest = $1 for update", digest)
        if row is None:
            return None
        grant: Grant = _of(Grant, row, bounds=_bounds)
        return Invitation(digest=digest, grant=grant, made_by=row["made_by"], expires_at=row["expires_at"])

    async def delete_invitation(self, digest: bytes) -> None:
        await self._conn.execute("delete from invitation where digest = $1", digest)

    async def read_account(self, subject: str) -> Account | None:
        row = await self._conn.fetchrow("select * from account where subject = $1", subject)
        return _account(row) if row else None

    async def lock_account(self, subject: str) -> Account | None:
        rows = await lock_rows(
            self._conn, "account", [subject], column="subject", type_="text", strength="no key update"
        )
        return _account(rows[0]) if rows else None

    async def read_accounts(self, after: str, limit: int, kinds: Collection[str] | None = None) -> list[Account]:
        return [_account(row) for row in await self._conn.fetch(statements.ACCOUNTS, after, limit, kinds)]

    async def read_outdated(self, scopes: Mapping[str, Sequence[str]], limit: int) -> list[str]:
        rows = await self._conn.fetch(statements.OUTDATED, orjson.dumps(scopes).decode(), limit)
        return [row["subject"] for row in rows]

    async def save_account(self, account: Account) -> None:
        one = account
        await self._conn.execute(
            statements.ACCOUNT, one.subject, one.kind, one.role, one.tenant, _json(one.bounds), str(one.status),
            one.revoked_at, one.version, one.made_at,
        )  # fmt: skip

    async def read_subject_of_phone(self, phone: bytes) -> str | None:
        found: str | None = await self._conn.fetchval("select subject from phone where digest = $1", phone)
        return found

    async def save_phone(self, phone: bytes, subject: str) -> None:
        await self._conn.execute("insert into phone values ($1, $2)", phone, subject)

    async def read_login(self, name: str) -> Login | None:
        row = await self._conn.fetchrow("select * from login where name = $1", name)
        return _of(Login, row) if row else None

    async def lock_login(self, name: str) -> Login | None:
        row = await self._conn.fetchrow("select * from login where name = $1 for update", name)
        return _of(Login, row) if row else None

    async def save_login(self, login: Login) -> bool:
        one = login
        return bool(
            await self._conn.fetchval(statements.LOGIN, one.name, one.subject, one.password, one.totp, one.last_step)
        )

    async def read_logins(self, subjects: Collection[str]) -> dict[str, str]:
        rows = await self._conn.fetch("select subject, name from login where subject = any($1::text[])", list(subjects))
        return {row["subject"]: row["name"] for row in rows}

    async def read_key(self, thumbprint: str) -> DeviceKey | None:
        row = await self._conn.fetchrow("select * from device_key where thumbprint = $1", thumbprint)
        return _of(DeviceKey, row) if row else None

    async def read_keys(self, subjects: Collection[str]) -> list[DeviceKey]:
        rows = await self._conn.fetch(statements.KEYS_OF, list(subjects))
        return [_of(DeviceKey, row) for row in rows]

    async def save_keys(self, keys: Collection[DeviceKey]) -> None:
        for one in keys:
            await self._conn.execute(
                statements.DEVICE_KEY, one.thumbprint, one.subject, one.x, one.y, one.since, one.expires_at,
                one.device, one.retired_at, one.revoked_at,
            )  # fmt: skip

    async def read_refresh(self, digest: bytes) -> RefreshToken | None:
        row = await self._conn.fetchrow("select * from refresh_token where digest = $1", digest)
        return _of(RefreshToken, row) if row else None

    async def save_refresh(self, token: RefreshToken) -> None:
        one = token
        await self._conn.execute(statements.REFRESH, one.digest, one.family, one.subject, one.expires_at, one.used_at)

    async def delete_family(self, family: UUID) -> None:
        await self._conn.execute("delete from refresh_token where family = $1", family)

    async def save_session(self, digest: bytes, subject: str, expires_at: datetime) -> None:
        await self._conn.execute("insert into session values ($1, $2, $3)", digest, subject, expires_at)

    async def read_session(self, digest: bytes, now: datetime) -> str | None:
        found: str | None = await self._conn.fetchval(
            "select subject from session where digest = $1 and expires_at > $2", digest, now
        )
        return found

    async def delete_session(self, digest: bytes) -> None:
        await self._conn.execute("delete from session where digest = $1", digest)

    async def delete_logons(self, subject: str) -> None:
        await self._conn.execute("delete from session where subject = $1", subject)
        await self._conn.execute("delete from refresh_token where subject = $1", subject)

    async def use_assertion(self, thumbprint: str, jti: str, expires_at: datetime) -> bool:
        return bool(await self._conn.fetchval(statements.USE_ASSERTION, thumbprint, jti, expires_at))

    async def read_token_keys(self) -> list[SigningKey]:
        return [_of(SigningKey, row, status=KeyStatus) for row in await self._conn.fetch(statements.SIGNING_KEYS)]

    async def lock_token_keys(self) -> list[SigningKey]:
        # Readers of the keys are not held up by this mode; another rotation is.
        await self._conn.execute("lock table token_key in share row exclusive mode")
        return await self.read_token_keys()

    async def has_unpublished_token_keys(self) -> bool:
        return bool(await self._conn.fetchval(statements.UNPUBLISHED_KEY))

    async def save_token_keys(self, keys: Collection[SigningKey]) -> None:
        for one in keys:
            await self._conn.execute(
                statements.SIGNING_KEY, one.kid, one.x, one.y, one.sealed, str(one.status), one.changed_at, one.version
            )

    async def record(self, at: datetime, actor: str, action: str, subject: str) -> None:
        await self._conn.execute(statements.ACT, at, actor, action, subject)

    async def prune(self, now: datetime) -> Mapping[str, int]:
        before = dict.fromkeys(statements.EXPIRED, now) | {"otp": now - LIFE, "refresh_token": now - _THEFT}
        return {
            name: len(await self._conn.fetch(statement, before[name])) for name, statement in statements.EXPIRED.items()
        }


_THEFT = timedelta(days=7)
"""An expired refresh token is known for so long, so that its use still ends a family that lives on."""


def _of(kind: Any, row: Any, **read: Any) -> Any:
    """Return the dataclass in a row; `read` converts columns that have a type of their own."""
    values = {field.name: row[field.name] for field in fields(kind)}
    return kind(**values | {name: convert(values[name]) for name, convert in read.items()})


def _account(row: Any) -> Account:
    found: Account = _of(Account, row, bounds=_bounds, status=Status)
    return found


def _bounds(text: str) -> Bounds:
    return Bounds.of(orjson.loads(text))


def _json(bounds: Bounds) -> str:
    return orjson.dumps(bounds.plain()).decode()
