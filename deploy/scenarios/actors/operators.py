"""The operator: writes the catalogue, and takes in the lots of households."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Client, call
from deploy.scenarios.actors.requests import Body, Id

Entry = tuple[str, str, Body]
"""Kind, id and body of a catalogue entry."""


@dataclass
class Operator:
    """The operator of orders and inventory. Methods raise `Refused`."""

    client: Client

    async def write_catalogue(self, entries: Iterable[Entry], written: Callable[[], None] = lambda: None) -> None:
        """Put every entry; return when orders has all of them. Entries of one kind come together, and refer only to
        entries of earlier kinds. `written` is called after each.
        """

        async def put(entry: Entry) -> None:
            await call(self.client, requests.put_entry(*entry))
            written()

        for _, same_kind in groupby(entries, key=lambda entry: entry[0]):
            await asyncio.gather(*map(put, same_kind))

    async def take_in(
        self,
        lot: Id,
        pool: str,
        goods: Body,
        household: str,
        harvested_at: datetime,
        sell_by: datetime | None = None,
        passed: int | None = None,
    ) -> None:
        """Receive a household's lot and record its inspection; `passed` is the quantity that passed, by default all."""
        await call(self.client, requests.receive_lot(lot, pool, goods, household, harvested_at, sell_by))
        await call(self.client, requests.inspect_lot(lot, "fail" if passed == 0 else "pass", passed or None))
