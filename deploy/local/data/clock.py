"""The business clock of a data folder: all its processes, also restarted ones, read the same time."""

from datetime import UTC, datetime
from pathlib import Path

from deploy.local.data.files import write_private
from deploy.local.errors import StackError
from services.kit.clock import Clock, Segment
from services.kit.clock_feed import FILE, FileFeed


def clock_file(data: Path) -> Path:
    """Where the folder's clock is kept; it runs on real time while there is none."""
    return data / "clock.json"


def clock_environment(data: Path) -> dict[str, str]:
    """The clock variable for a service; empty means real time."""
    file = clock_file(data).absolute()
    return {"HALFDAY_CLOCK": f"{FILE}{file}"} if file.exists() else {}


def clock_feed(data: Path) -> FileFeed:
    """The feed through which somebody drives the clock of this folder."""
    return FileFeed(clock_file(data).absolute())


def saved_segment(data: Path) -> Segment | None:
    """The segment that the folder keeps, None for real time. Raises StackError where the file is damaged."""
    file = clock_file(data)
    try:
        return Segment.from_json(file.read_bytes()) if file.exists() else None
    except ValueError:
        raise StackError(f"{file} is damaged: it holds no business clock; remove it to go on in real time") from None


def freeze_at(data: Path, moment: datetime) -> None:
    """Make business time stand at this moment until somebody drives it on."""
    write_private(clock_file(data), Segment(datetime.now(UTC), moment, 1.0, moment).to_json().decode())


def resume(data: Path) -> None:
    """Let a clock that was driven, and whose driver is gone, go on as fast as life from where it stopped."""
    kept = saved_segment(data)
    if kept is not None and kept.latest is not None:
        now = Clock(kept).now()
        write_private(clock_file(data), Segment(datetime.now(UTC), now).to_json().decode())
