"""A consumer that receives nothing while records wait ends the process; one that works or can't receive does not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.kit.errors import NotReady, Stalled
from services.kit.process import consumer_watch
from services.kit.process.consumer_watch import ConsumerWatch


class Reader:
    """A consumer of one partition: `lag` records wait; without a number it does not answer."""

    def __init__(self, lag: int | None) -> None:
        self.lag = lag

    def assignment(self) -> set[str]:
        return {"p0"}

    async def end_offsets(self, places: set[str]) -> dict[str, int]:
        if self.lag is None:
            await asyncio.Event().wait()
        return dict.fromkeys(places, 100)

    async def position(self, _place: str) -> int:
        return 100 - (self.lag or 0)


class Setting:
    """A consumer, the broker's answer, and the watch over both, with short times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lag: int | None) -> None:
        for name, seconds in (("EVERY_S", 0.01), ("KAFKA_S", 0.01), ("LIMIT", 8)):
            monkeypatch.setattr(consumer_watch, name, seconds)
        self.processor: Any = SimpleNamespace(consumer="dispatch.command", begun=0, ended=0)
        self.reader, self.away = Reader(lag), False
        self.watch = ConsumerWatch([(self.processor, SimpleNamespace(consumer=self.reader))], self._answer)

    async def _answer(self) -> None:
        if self.away:
            raise NotReady("away")

    async def outlives(self, seconds: float = 0.4) -> bool:
        """Run the watch; return false if it ended the process."""
        running = asyncio.create_task(self.watch.run())
        ended, _ = await asyncio.wait([running], timeout=seconds)
        running.cancel()
        for task in ended:
            with pytest.raises(Stalled, match=r"receive nothing while Kafka answers: dispatch\.command for 0 s"):
                task.result()
        return not ended


@pytest.mark.parametrize("lag", [3, None])
async def test_a_stalled_consumer_ends_the_process(monkeypatch: pytest.MonkeyPatch, lag: int | None):
    here = Setting(monkeypatch, lag)
    assert (await here.watch.check()).ok
    assert not await here.outlives()
    found = await here.watch.check()
    assert not found.ok
    assert "dispatch.command" in str(found.detail)


async def test_a_consumer_without_waiting_records_may_rest(monkeypatch: pytest.MonkeyPatch):
    here = Setting(monkeypatch, 0)
    assert await here.outlives()
    assert (await here.watch.check()).detail == "receive"


async def test_while_the_broker_is_away_no_consumer_is_stalled(monkeypatch: pytest.MonkeyPatch):
    here = Setting(monkeypatch, None)
    here.away = True
    assert await here.outlives()
    here.away = False
    assert not await here.outlives()


async def test_a_consumer_with_a_batch_in_work_is_not_stalled(monkeypatch: pytest.MonkeyPatch):
    here = Setting(monkeypatch, 3)
    here.processor.begun = 1
    assert await here.outlives()
    here.processor.ended = 1
    assert not await here.outlives()


async def test_a_consumer_that_receives_batch_after_batch_is_not_stalled(monkeypatch: pytest.MonkeyPatch):
    here = Setting(monkeypatch, 3)

    async def receive() -> None:
        while True:
            here.processor.begun += 1
            here.processor.ended += 1
            await asyncio.sleep(0.01)  # pause: the time between batches

    receiving = asyncio.create_task(receive())
    assert await here.outlives()
    receiving.cancel()
