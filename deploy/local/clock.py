"""The business clock of a data folder: all its processes, also restarted ones, read the same time."""

import json
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.files import write_private
from deploy.local.options import Options


def clock_environment(data: Path, options: Options) -> dict[str, str]:
    """The clock variables for a service; empty means real time.

    Options that name a clock replace the kept one from now on; without them the kept one runs on.
    """
    file = data / "clock.json"
    if options.clock_start is not None or options.clock_speed is not None:
        now = datetime.now(UTC)
        start = options.clock_start or now
        clock = {"anchor": now.isoformat(), "start": start.isoformat(), "speed": str(options.clock_speed or 1.0)}
        write_private(file, json.dumps(clock))
    elif file.exists():
        clock = json.loads(file.read_text())
    else:
        return {}
    return {f"HALFDAY_CLOCK_{name.upper()}": value for name, value in clock.items()}
