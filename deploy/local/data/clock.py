"""The business clock of a data folder: all its processes, also restarted ones, read the same time."""

from datetime import UTC, datetime
from pathlib import Path

from deploy.local.data.files import write_private
from deploy.local.errors import StackError
from services.kit.clock import Clock, Segment
from services.kit.clock_feed import FILE, FileFeed


def clock_file(data: Path) -> Path:
    """Return the file of the folder's clock; without it the folder runs on real time."""
    return data / "clock.json"


def clock_environment(data: Path) -> dict[str, str]:
    """Return the clock variable for a service; empty for real time."""
    file = clock_file(data).absolute()
    return {"HALFDAY_CLOCK": f"{FILE}{file}"} if file.exists() else {}


def clock_feed(data: Path) -> FileFeed:
    """Return the feed that drives the clock of this folder."""
    return FileFeed(clock_file(data).absolute())


def saved_segment(data: Path) -> Segment | None:
    """Return the segment that the folder has saved, None for real time. Raises StackError for a damaged file."""
    file = clock_file(data)
    try:
        return Segment.from_json(file.read_bytes()) if file.exists() else None
    except ValueError:
        raise StackError(
            f"{file} is damaged: it has no valid business clock; remove it to continue in real time"
        ) from None


def freeze_at(data: Path, moment: datetime) -> None:
    """Stop business time at this moment until a driver moves it on."""
    write_private(clock_file(data), Segment(datetime.now(UTC), moment, 1.0, moment).to_json().decode())


def resume(data: Path) -> None:
    """Let a driven clock without a driver run on at normal speed from where it stopped."""
    kept = saved_segment(data)
    if kept is not None and kept.latest is not None:
        now = Clock(kept).now()
        write_private(clock_file(data), Segment(datetime.now(UTC), now).to_json().decode())
