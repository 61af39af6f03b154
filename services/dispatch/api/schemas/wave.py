"""Response models of waves. Times are RFC 3339 with offset, distances metres."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class PlanFigures(BaseModel):
    """A plan in numbers."""

    version: int
    planner: str
    routes: int
    stops: int
    metres: int
    unserved: int


class WaveView(BaseModel):
    """A wave; `jobs` counts its jobs by state. `blocked` is the reason why it cannot be planned, which is retried every
    few seconds."""

    wave: str
    market_day: str
    station: str
    slot_from: datetime
    slot_until: datetime
    cutoff: datetime
    capacity: int
    state: str
    version: int
    blocked: str | None = None
    jobs: dict[str, int]
    plan: PlanFigures | None


class WavePage(BaseModel):
    """Waves in order of id; `next` is the cursor of the following page."""

    waves: list[WaveView]
    next: str | None
