"""Erasure on the whole stack: no table, archive, upload or topic has the person's data, and the audit passes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from confluent_kafka import Consumer, TopicPartition

from contracts.events.orders import RecipientPut
from contracts.topics import BY_NAME, SERVICES
from deploy.cli.__main__ import main
from deploy.local.data.secrets import Secrets
from deploy.local.processes.child import wait_until
from deploy.local.stack import Stack
from tests.system.audit_day import HE, SHE, SmallDay

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
_TABLES = "select tablename from pg_tables where schemaname = 'public' and tablename !~ '^outbox_sent$'"


async def rows_with(day: SmallDay, text: str) -> set[str]:
    """Return the tables of all databases that contain a text, also in bytes and archives."""
    found = set()
    for service in SERVICES:
        conn = await asyncpg.connect(day.endpoints["postgres"][service])
        for row in await conn.fetch(_TABLES):
            query = f"select exists (select from {row['tablename']} t where t::text like $1 or t::text like $2)"
            if await conn.fetchval(query, f"%{text}%", f"%{text.encode().hex()}%"):
                found.add(f"{service}.{row['tablename']}")
        await conn.close()
    return found


def told(day: SmallDay, order: str) -> list[bytes | None]:
    """The records about an order on the private topic, as dispatch reads them."""
    kafka = day.endpoints["kafka"]
    consumer = Consumer(
        {
            "bootstrap.servers": kafka["bootstrap"],
            "security.protocol": kafka["security"]["security_protocol"],
            "sasl.mechanism": kafka["security"]["sasl_mechanism"],
            "sasl.username": "dispatch",
            "sasl.password": Secrets.load(day.stack.data).kafka["dispatch"],
            "group.id": "dispatch.test",
            "enable.partition.eof": True,
        }
    )
    found, ended = [], 0
    count = BY_NAME[RecipientPut.TOPIC].partitions
    consumer.assign([TopicPartition(RecipientPut.TOPIC, n, 0) for n in range(count)])
    while ended < count:
        for message in consumer.consume(100, 1):
            ended += bool(message.error())
            if not message.error() and message.key() == order.encode():
                found.append(message.value())
    consumer.close()
    return found


def test_an_erased_person_is_nowhere_and_the_books_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def halfday(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["halfday", *words, "--data", str(tmp_path / "data")])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        shown = capsys.readouterr()
        return int(end.value.code or 0), shown.out + shown.err

    def erased(text: str) -> bool:
        return not asyncio.run(rows_with(day, text))

    with Stack(tmp_path / "data") as stack:
        stack.wait_ready(120)
        day = SmallDay(stack)
        day.play()
        order = day.orders["delivered"]
        assert asyncio.run(rows_with(day, HE.name)) >= {"orders.recipient", "dispatch.recipient", "dispatch.evidence"}
        code, said = halfday("erase", day.orders["open"], "--why", "asked")
        assert (code, "is reserved: cancel it or wait for its end" in said) == (1, True)
        assert halfday("erase", order)[0] == 1

        code, said = halfday("erase", order, "--why", "asked by the buyer")
        assert (code, "asked by the buyer" in said, "replay it after a restore" in said) == (0, True, True)
        for text in (HE.name, HE.phone, HE.door):
            assert wait_until(lambda text=text: erased(text), 30), asyncio.run(rows_with(day, text))
        assert wait_until(lambda: told(day, order)[-1] is None, 30)
        assert "orders.recipient" in asyncio.run(rows_with(day, SHE.name))
        assert day.state("delivered") == "delivered"
        assert halfday("audit")[0] == 0
        _, first = halfday("erase", order, "--why", "again", "--json")
        assert json.loads(first.splitlines()[0])["erased"][0]["why"] == "asked by the buyer"

        saved = tmp_path / "erased.json"
        saved.write_text(halfday("erase", "--list", "--json")[1])
        asyncio.run(an_older_backup_comes_back(day, order))
        assert not erased(HE.name)
        code, said = halfday("erase", "--replay", str(saved))
        assert code == 0, said
        assert wait_until(lambda: erased(HE.name), 30)
        assert halfday("audit")[0] == 0


async def an_older_backup_comes_back(day: SmallDay, order: str) -> None:
    """Orders' tables as they were before the person was erased."""
    conn = await asyncpg.connect(day.endpoints["postgres"]["orders"])
    await conn.execute("delete from erased where order_id = $1", order)
    who: list[Any] = [order, HE.name, HE.phone, HE.door]
    await conn.execute("insert into recipient (order_id, name, phone, address) values ($1, $2, $3, $4)", *who)
    await conn.execute("update orders set code = '123456' where order_id = $1", order)
    await conn.close()
