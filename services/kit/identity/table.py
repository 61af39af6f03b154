"""The tables of principals and signing keys: one state of each id, the latest by its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from services.kit.database import Reader

Row = Mapping[str, Any]
CHANNEL = "identity"
"""The channel of NOTIFY on which followers are woken."""
_FREEZE = """
update sequenced_session s set frozen_through = s.received_through
from upload_device d, principal p, jsonb_array_elements(p.keys) k
where p.changed = $1 and d.owner = overlay(p.subject placing '/' from length(p.kind) + 1 for 1)
  and d.key = coalesce(k ->> 'device', k ->> 'thumbprint') and k ->> 'revoked_at' is not null
  and s.owner = d.owner and s.device = d.device and s.frozen_through is null
"""


class DeviceKey(NamedTuple):
    """A device's public key as access published it last, with its times as RFC 3339. `device` is the thumbprint of the
    device's first key, `places` the sites or stations that the device is limited to.
    """

    x: str
    y: str
    device: str
    retired_at: str | None
    revoked_at: str | None
    places: list[str] | None


class IdentityTable:
    """Principals and signing keys as rows."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def put(self, principals: Mapping[str, Row], keys: Mapping[str, Row]) -> None:
        """Store the rows, by subject and by key id, that have a higher version than the stored ones; the followers are
        woken when the transaction commits. Columns are those of the tables, without `changed`.

        Transactions that change something wait for each other, so that `changed` grows in the order of their commits.
        """
        people, signing = ([orjson.dumps(rows[id]).decode() for id in sorted(rows)] for rows in (principals, keys))
        change = await self.conn.fetchval("update identity_change set last = last + 1 returning last")
        await self.conn.execute(
            "insert into principal as old select r.* from unnest($1::text[], $2::jsonb[]) as given(id, j), "
            "jsonb_populate_record(null::principal, "
            "j || jsonb_build_object('subject', id, 'changed', $3::bigint)) as r "
            "on conflict (subject) do update set version = excluded.version, kind = excluded.kind, "
            "tenant = excluded.tenant, scopes = excluded.scopes, bounds = excluded.bounds, keys = excluded.keys, "
            "active = excluded.active, revoked_at = excluded.revoked_at, changed = excluded.changed "
            "where old.version < excluded.version",
            sorted(principals),
            people,
            change,
        )
        await self.conn.execute(
            "insert into signing_key as old select r.* from unnest($1::text[], $2::jsonb[]) as given(id, j), "
            "jsonb_populate_record(null::signing_key, j || jsonb_build_object('kid', id, 'changed', $3::bigint)) as r "
            "on conflict (kid) do update set version = excluded.version, x = excluded.x, y = excluded.y, "
            "usable = excluded.usable, changed = excluded.changed where old.version < excluded.version",
            sorted(keys),
            signing,
            change,
        )
        await self.conn.execute(_FREEZE, change)
        await self.conn.execute("select pg_notify($1, '')", CHANNEL)

    async def lock_device_key(self, subject: str, thumbprint: str) -> DeviceKey | None:
        """Return a key of a subject, with its principal locked until the end of the transaction: its end is applied
        before or after. None for a key that has not arrived.
        """
        row = await self.conn.fetchrow(
            "select p.bounds, (select k from jsonb_array_elements(p.keys) k where k ->> 'thumbprint' = $2) as key "
            "from principal p where subject = $1 for share",
            subject,
            thumbprint,
        )
        if row is None or row["key"] is None:
            return None
        key, bounds = orjson.loads(row["key"]), orjson.loads(row["bounds"])
        ends = (key.get("retired_at"), key.get("revoked_at"))
        places = bounds.get("sites" if subject.startswith("terminal.") else "stations")
        return DeviceKey(key["x"], key["y"], key.get("device", thumbprint), *ends, places)

    async def principals_since(self, change: int) -> Sequence[Row]:
        """Return the principals that changed after a change, as rows."""
        found = await self.conn.fetch(
            "select subject, version, kind, tenant, scopes, bounds, keys, active, changed from principal "
            "where changed > $1 order by changed",
            change,
        )
        return [dict(row) for row in found]

    async def keys_since(self, change: int) -> Sequence[Row]:
        """Return the signing keys that changed after a change, as rows."""
        found = await self.conn.fetch(
            "select kid, x, y, usable, changed from signing_key where changed > $1 order by changed", change
        )
        return [dict(row) for row in found]
