"""A business clock for service processes under test, stored in a file."""

from datetime import datetime
from pathlib import Path

from services.kit.clock import Clock, Segment
from services.kit.clock_feed import FILE


def run_from(folder: Path, moment: datetime, speed: float = 1.0) -> dict[str, str]:
    """Let business time run from this moment; return the environment variables of a process that follows it."""
    return _write(folder, Segment(Clock().real(), moment, speed))


def freeze_at(folder: Path, moment: datetime) -> dict[str, str]:
    """Stop business time at this moment; return the environment variables of a process that follows it."""
    return _write(folder, Segment(Clock().real(), moment, latest=moment))


def _write(folder: Path, segment: Segment) -> dict[str, str]:
    file = folder / "clock.json"
    draft = folder / "clock.draft"
    draft.write_bytes(segment.to_json())
    draft.replace(file)
    return {"HALFDAY_CLOCK": f"{FILE}{file}"}
