"""Named crash points: `FAULT=relay.after_send:kill@3` kills the process at the third pass of that point.

The form is `name:action@n`, several separated by commas; without `@n` it acts at the first pass. A point acts once
in the life of a process. Actions:
- `kill`: SIGKILL to this process, as `kill -9` would;
- `sleep:S`: the whole process is blocked for S seconds, event loop and heartbeats included;
- `raise`: raises `InjectedFault`;
- `drop`: `point` returns True, and the caller leaves out its next step.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.kit.errors import InjectedFault


@dataclass
class Fault:
    """One planned fault; `passes` counts down to the pass at which it acts."""

    action: str
    seconds: float
    passes: int


def parse(spec: str) -> dict[str, Fault]:
    """Return the faults of a `FAULT` text by point. Raises ValueError with the part that can't be parsed."""
    return dict(_parse_one(part) for part in spec.split(",") if part)


def _parse_one(part: str) -> tuple[str, Fault]:
    rest, _, passes = part.partition("@")
    name, _, action = rest.partition(":")
    action, _, seconds = action.partition(":")
    known = action in {"kill", "raise", "drop"} and not seconds
    try:
        if not name or not (known or action == "sleep"):
            raise ValueError(action)
        return name, Fault(action, float(seconds or 0), int(passes or 1))
    except ValueError:
        raise ValueError(
            f"FAULT {part!r} is not name:action@n with an action of kill, sleep:S, raise or drop"
        ) from None


_planned: dict[str, Fault] | None = parse(os.environ.get("FAULT", "")) or None


def point(name: str) -> bool:
    """Carry out the fault planned for this pass of `name`; return True only when the caller must drop its next step.

    Without FAULT it costs one comparison.
    """
    return _planned is not None and _pass(_planned, name)


def _pass(planned: dict[str, Fault], name: str) -> bool:
    fault = planned.get(name)
    if fault is None:
        return False
    fault.passes -= 1
    if fault.passes != 0:
        return False
    if fault.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault.action == "sleep":
        time.sleep(fault.seconds)
    elif fault.action == "raise":
        raise InjectedFault(name)
    return fault.action == "drop"


@contextmanager
def armed(spec: str) -> Iterator[None]:
    """Plan the faults of `spec`, and only these, inside the block; for tests in one process."""
    global _planned
    before, _planned = _planned, parse(spec)
    try:
        yield
    finally:
        _planned = before
