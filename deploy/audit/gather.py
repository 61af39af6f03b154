"""Reading log and books at a moment when nothing is on its way, if there is one soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from deploy.audit.checks import archive, inbox
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import read_log
from deploy.audit.evidence.tables import read_databases
from deploy.audit.finding import Finding

_PAUSE_S = 0.3


async def gather(endpoints: Mapping[str, Any], patience: float) -> Evidence:
    """What there is once nothing waits to be sent or handled; after `patience` seconds, what there is then.

    The books are read before the log, so that whatever they say was sent should stand in it. What the log has beyond
    them came in between, or, when it is the same the next time, from somewhere else.
    """
    until = time.monotonic() + patience
    strange: set[Finding] = set()
    while True:
        books = await read_databases(endpoints["postgres"])
        evidence = Evidence(await asyncio.to_thread(read_log, endpoints["kafka"]), books)
        before, strange = strange, set(archive.unsent(evidence))
        still = not any(archive.waiting(evidence)) and not any(inbox.processed(evidence))
        if (still and strange in (set(), before)) or time.monotonic() > until:
            return evidence
        await asyncio.sleep(_PAUSE_S)
