"""The business clock through a file: a reader follows its writer, and lags when the writer is gone."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.kit.clock import Clock, Segment
from services.kit.clock_feed import FileFeed, PostgresFeed, feed_of
from services.kit.settings import Settings

DAWN = datetime(2026, 10, 24, 5, tzinfo=UTC)


def _standing(at: datetime) -> Segment:
    return Segment(Clock().real(), at, 1.0, at)


async def _reaches(clock: Clock, at: datetime) -> None:
    async with asyncio.timeout(60):
        while clock.now() < at:
            await asyncio.sleep(0.01)
    assert clock.now() == at


async def test_a_reader_follows_what_is_written(tmp_path: Path) -> None:
    feed = FileFeed(tmp_path / "clock.json")
    await feed.write(_standing(DAWN))
    clock = Clock(await feed.read())
    following = asyncio.create_task(feed.follow(clock))
    for hours in (1, 2):
        await feed.write(_standing(DAWN + timedelta(hours=hours)))
        await _reaches(clock, DAWN + timedelta(hours=hours))
    (tmp_path / "clock.json").write_text("half a segm")
    (tmp_path / "clock.json").unlink()
    await feed.write(_standing(DAWN + timedelta(hours=3)))
    await _reaches(clock, DAWN + timedelta(hours=3))
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    assert [path.name for path in tmp_path.iterdir()] == ["clock.json"]


async def test_a_file_that_is_not_there_is_no_real_time(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"clock\.json"):
        await FileFeed(tmp_path / "clock.json").read()


def test_the_settings_choose_the_transport(tmp_path: Path) -> None:
    assert feed_of(Settings(database_url="x")) is None
    assert isinstance(feed_of(Settings(database_url="x", clock=f"file:{tmp_path}/c.json")), FileFeed)
    assert isinstance(feed_of(Settings(database_url="x", clock="postgres")), PostgresFeed)
