"""Reads tables and topics, at a moment without messages in flight if there is one soon."""

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
    """Return the evidence once no message waits to be sent or handled; after `patience` seconds, as it is then.

    Tables are read before the log, so every record that they call sent must be in the log. A record that only the log
    has was sent in between; if it is unknown in the next reading too, no outbox sent it.
    """
    until = time.monotonic() + patience
    unknown: set[Finding] = set()
    while True:
        tables = await read_databases(endpoints["postgres"])
        evidence = Evidence(await asyncio.to_thread(read_log, endpoints["kafka"]), tables)
        before, unknown = unknown, set(archive.unsent(evidence))
        still = not any(archive.waiting(evidence)) and not any(inbox.processed(evidence))
        if (still and unknown in (set(), before)) or time.monotonic() > until:
            return evidence
        await asyncio.sleep(_PAUSE_S)
