"""Classification of database errors that are worth a retry."""

import asyncpg
import pytest

from services.kit.database import is_transient
from services.kit.errors import CommitUnknown

TRANSIENT = [
    asyncpg.DeadlockDetectedError("x"),
    asyncpg.SerializationError("x"),
    asyncpg.LockNotAvailableError("x"),
    asyncpg.QueryCanceledError("x"),
    asyncpg.AdminShutdownError("x"),
    asyncpg.CrashShutdownError("x"),
    asyncpg.CannotConnectNowError("x"),
    asyncpg.DiskFullError("x"),
    asyncpg.TooManyConnectionsError("x"),
    asyncpg.ConnectionDoesNotExistError("x"),
    asyncpg.IdleInTransactionSessionTimeoutError("x"),
    asyncpg.ReadOnlySQLTransactionError("x"),
    asyncpg.InvalidCachedStatementError("x"),
    asyncpg.InterfaceError("connection is closed"),
    ConnectionResetError("x"),
    TimeoutError("x"),
    CommitUnknown("x"),
]
LASTING = [
    asyncpg.UniqueViolationError("x"),
    asyncpg.CheckViolationError("x"),
    asyncpg.ForeignKeyViolationError("x"),
    asyncpg.UndefinedTableError("x"),
    asyncpg.DataError("x"),
    asyncpg.InvalidPasswordError("x"),
    asyncpg.DatabaseDroppedError("x"),
    asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
    ValueError("x"),
    KeyError("x"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda e: type(e).__name__)
def test_may_succeed_later(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING, ids=lambda e: type(e).__name__)
def test_will_fail_again(error: Exception) -> None:
    assert not is_transient(error)
