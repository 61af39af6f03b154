"""`ce_seq`: the records of one subject on one topic count from 1 without holes, also after a long silence.

A subject that was silent for 75 days leaves `outbox_seq`; its last number stays in `outbox_seq_kept`, in a row of an
id and a number. That takes two steps, an hour apart: the number is copied, later the row is deleted. So a statement
that finds the row gone began after the copy was committed, and sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from services.kit.database import Connection

Pair: TypeAlias = tuple[str, str]
"""(topic, subject)"""

SILENT_DAYS = 75  # topics and archive keep 60 days, and the inbox 15 more


async def advance(conn: Connection, counts: Mapping[Pair, int]) -> dict[Pair, int]:
    """Take so many numbers for each pair and return the last of each. Locks the pairs, in order, until the commit."""
    pairs = sorted(counts)
    rows = await conn.fetch(
        "with taken as (insert into outbox_seq as old (topic, subject, seq) "
        "select * from unnest($1::text[], $2::text[], $3::bigint[]) on conflict (topic, subject) "
        "do update set seq = old.seq + excluded.seq, spoke_at = now(), kept_at = null "
        "returning topic, subject, seq, xmax = 0 as new) "
        "select taken.topic, taken.subject, taken.seq, kept.seq as before from taken "
        "left join outbox_seq_kept kept on taken.new and kept.about = md5(taken.topic || ' ' || taken.subject)::uuid",
        [topic for topic, _ in pairs],
        [subject for _, subject in pairs],
        [counts[pair] for pair in pairs],
    )
    lasts = {(row["topic"], row["subject"]): row["seq"] for row in rows}
    before = {(row["topic"], row["subject"]): row["before"] for row in rows if row["before"]}
    if before:
        await conn.execute(
            "update outbox_seq q set seq = q.seq + b.seq from unnest($1::text[], $2::text[], $3::bigint[]) "
            "as b(topic, subject, seq) where q.topic = b.topic and q.subject = b.subject",
            [topic for topic, _ in before],
            [subject for _, subject in before],
            list(before.values()),
        )
    return {pair: last + before.get(pair, 0) for pair, last in lasts.items()}


async def keep(conn: Connection, limit: int = 5_000) -> int:
    """Copy the last numbers of up to `limit` subjects that were silent for 75 days; return how many."""
    done: str = await conn.execute(
        "with silent as (select topic, subject, seq from outbox_seq "
        "where spoke_at < now() - make_interval(days => $1) and kept_at is null limit $2 for update skip locked), "
        "kept as (insert into outbox_seq_kept select md5(topic || ' ' || subject)::uuid, seq from silent "
        "on conflict (about) do update set seq = excluded.seq) "
        "update outbox_seq q set kept_at = now() from silent s where q.topic = s.topic and q.subject = s.subject",
        SILENT_DAYS,
        limit,
    )
    return int(done.split()[-1])


async def forget(conn: Connection, limit: int = 5_000) -> int:
    """Delete up to `limit` subjects that were copied an hour ago and are still silent; return how many."""
    done: str = await conn.execute(
        "delete from outbox_seq where ctid = any(array(select ctid from outbox_seq "
        "where spoke_at < now() - make_interval(days => $1) and kept_at < now() - interval '1 hour' "
        "limit $2 for update skip locked))",
        SILENT_DAYS,
        limit,
    )
    return int(done.split()[-1])
