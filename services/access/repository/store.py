"""Store of access: what a transaction reads and writes, as PostgreSQL provides it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.access.domain.account import Account
from services.access.domain.device import DeviceKey
from services.access.domain.enrolment import Enrolment
from services.access.domain.invitation import Invitation
from services.access.domain.otp import Otp
from services.access.domain.refresh import RefreshToken
from services.access.domain.signing_key import SigningKey
from services.access.domain.staff import Login


class AccessStore(Protocol):
    """The tables of access in one transaction.

    A `lock_` method locks the rows that it returns until the end of the transaction. The order of locks is attempts,
    then an enrolment, a one-time code or an invitation, then the account, then what belongs to it.
    """

    async def lock_attempts(self, digests: Iterable[bytes]) -> dict[bytes, list[datetime]]:
        """Return the attempts that counted so far, oldest first, for each digest; none is an empty list."""

    async def save_attempts(self, digest: bytes, times: Sequence[datetime], until: datetime) -> None:
        """Replace the attempts of a digest; they may be deleted after `until`."""

    async def lock_enrolment(self, handle: str) -> Enrolment | None:
        """Return the enrolment with this handle."""

    async def save_enrolment(self, enrolment: Enrolment) -> None:
        """Write an enrolment; it replaces the one of its subject, or one of the same handle."""

    async def delete_enrolments(self, subject: str) -> None:
        """Delete the open enrolment of a subject."""

    async def lock_otp(self, phone: bytes) -> Otp | None:
        """Return the open one-time code of a phone."""

    async def save_otp(self, otp: Otp) -> None:
        """Write a one-time code; it replaces the one of its phone."""

    async def delete_otp(self, phone: bytes) -> None:
        """Delete the one-time code of a phone."""

    async def save_invitation(self, invitation: Invitation) -> None:
        """Write a new invitation."""

    async def lock_invitation(self, digest: bytes) -> Invitation | None:
        """Return the invitation with this digest."""

    async def delete_invitation(self, digest: bytes) -> None:
        """Delete an invitation."""

    async def read_account(self, subject: str) -> Account | None:
        """Return an account as committed."""

    async def lock_account(self, subject: str) -> Account | None:
        """Return an account. Rows that refer to it may be inserted meanwhile."""

    async def read_accounts(self, after: str, limit: int, kinds: Collection[str] | None = None) -> list[Account]:
        """Return accounts in order of their subjects, beginning after `after`; of these kinds, where given."""

    async def read_outdated(self, scopes: Mapping[str, Sequence[str]], limit: int) -> list[str]:
        """Return subjects of which no published state has the scopes of their role, or of their kind without a role."""

    async def save_account(self, account: Account) -> None:
        """Write an account; it replaces the one of its subject."""

    async def read_subject_of_phone(self, phone: bytes) -> str | None:
        """Return the subject that signs in with a phone."""

    async def save_phone(self, phone: bytes, subject: str) -> None:
        """Write the phone of a subject."""

    async def read_login(self, name: str) -> Login | None:
        """Return a login by its name, as committed."""

    async def lock_login(self, name: str) -> Login | None:
        """Return a login by its name."""

    async def save_login(self, login: Login) -> bool:
        """Write a login, or its newest step where its subject has this name; False where another has the name."""

    async def read_logins(self, subjects: Collection[str]) -> dict[str, str]:
        """Return the login names of these subjects."""

    async def read_key(self, thumbprint: str) -> DeviceKey | None:
        """Return a device's key."""

    async def read_keys(self, subjects: Collection[str]) -> list[DeviceKey]:
        """Return all keys of these subjects, oldest first."""

    async def save_keys(self, keys: Collection[DeviceKey]) -> None:
        """Write keys in the given order; a row replaces the ends of the row of its thumbprint and nothing else."""

    async def read_refresh(self, digest: bytes) -> RefreshToken | None:
        """Return a refresh token. It is decided about under the lock of its account."""

    async def save_refresh(self, token: RefreshToken) -> None:
        """Write a refresh token; it replaces the one of its digest."""

    async def delete_family(self, family: UUID) -> None:
        """Delete all refresh tokens of a family."""

    async def save_session(self, digest: bytes, subject: str, expires_at: datetime) -> None:
        """Write a new session of staff."""

    async def read_session(self, digest: bytes, now: datetime) -> str | None:
        """Return the subject of a session that has not expired."""

    async def delete_session(self, digest: bytes) -> None:
        """Delete a session."""

    async def delete_logons(self, subject: str) -> None:
        """Delete the sessions and refresh tokens of a subject."""

    async def use_assertion(self, thumbprint: str, jti: str, expires_at: datetime) -> bool:
        """Note the id of an assertion; False where it was used before."""

    async def read_token_keys(self) -> list[SigningKey]:
        """Return all signing keys that are not retired, oldest first."""

    async def lock_token_keys(self) -> list[SigningKey]:
        """Return the same; one transaction at a time holds them, also while there is none."""

    async def has_unpublished_token_keys(self) -> bool:
        """Return True if a signing key that is not retired was never published."""

    async def save_token_keys(self, keys: Collection[SigningKey]) -> None:
        """Write signing keys in the given order; a row replaces the status of the row of its id."""

    async def record(self, at: datetime, actor: str, action: str, subject: str) -> None:
        """Append to the record of who gave, changed or took away which credential."""

    async def prune(self, now: datetime) -> Mapping[str, int]:
        """Delete up to a thousand expired rows of each table; return how many of each."""
