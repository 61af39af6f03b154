"""State diagrams of a job and of a wave, drawn by running their state machines, so that they cannot drift from code."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from contracts.events.catalog import WaveTerms
from contracts.events.dispatch import CancelDelivery, ScheduleDelivery
from services.dispatch.domain import wave as waves
from services.dispatch.domain.courier import Report, ReportKind
from services.dispatch.domain.job.job import Job, JobState, Slot, new_job
from services.dispatch.domain.job.state_machine import Assigned, Message, Placed, Unplaced, decide
from services.dispatch.domain.wave import Wave

T = TypeVar("T", Job, Wave)

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_ORDER: dict[str, Any] = {"order": UUID(int=1), "pool": "day@site", "reservation": UUID(int=2)}
_SCHEDULE = ScheduleDelivery(**_ORDER, market_day="day", community="community", lines=[])


def job_diagram() -> str:
    """Return the states of a job as a Mermaid state diagram, with the messages that change it on the arrows."""
    return _draw(new_job(_SCHEDULE), _job_steps)


def wave_diagram() -> str:
    """Return the states of a wave as a Mermaid state diagram."""
    times = {"slot_from": _NOON, "slot_until": _NOON + timedelta(hours=2), "cutoff": _NOON - timedelta(hours=1)}
    terms = WaveTerms(id="wave", station="station", capacity=1, **times)
    return _draw(waves.opened("day", terms), _wave_steps)


def _job_steps(job: Job) -> dict[str, Job]:
    # Reports and assignments name the courier and epoch that the job has, so that none is stale.
    messages: dict[str, Message] = {
        "schedule-delivery": _SCHEDULE,
        "cancel-delivery": CancelDelivery(**_ORDER),
        "placed in a wave": Placed(Slot("later" if job.slot else "wave", _NOON, _NOON)),
        "no wave can take it": Unplaced("full"),
        "assigned to a courier": Assigned(f"courier-{job.epoch}", 1, 1, _NOON),
    }
    for kind in ReportKind:
        messages[f"report {kind}"] = Report(kind, job.courier or "", job.epoch, _NOON, code_right=True)
    return {label: decide(job, message).job for label, message in messages.items()}


def _wave_steps(wave: Wave) -> dict[str, Wave]:
    return {
        "cutoff, or cut by the operator": waves.cut(wave),
        "plan applied": waves.planned(wave, wave.version) or wave,
        "released": waves.released(wave),
        "all jobs ended": waves.done(wave),
    }


def _draw(start: T, steps: Callable[[T], Mapping[str, T]]) -> str:
    """Return the arrows between all states that are reachable from `start`; `steps` gives the results by label."""
    found, waiting = {start.state: start}, deque([start])
    arrows: list[str] = [] if start.state is JobState.NEW else [f"[*] --> {start.state}"]
    while waiting:
        before = waiting.popleft()
        changed = {label: after for label, after in steps(before).items() if after != before}
        arrows += _arrows(before.state, changed)
        for after in changed.values():
            if after.state not in found:
                found[after.state] = after
                waiting.append(after)
    return "\n    ".join(["stateDiagram-v2", *arrows])


def _arrows(before: str, changed: Mapping[str, T]) -> Iterator[str]:
    labels: dict[str, list[str]] = {}
    for label, after in changed.items():
        labels.setdefault(after.state, []).append(label)
    for state, names in labels.items():
        yield f"{'[*]' if before == JobState.NEW else before} --> {state}: {', '.join(names)}"
