"""The audit compares topics and databases. It shares no code with the services, so a bug there cannot hide itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.audit.finding import Finding as Finding
from deploy.audit.gather import gather
from deploy.audit.verdict import Verdict as Verdict
from deploy.audit.verdict import judge

PATIENCE_S = 10.0


def run(
    endpoints: Path | Mapping[str, Any], require_terminal: bool = False, *, patience: float = PATIENCE_S
) -> Verdict:
    """Read all topics and tables, as `observer` and with the databases' own roles, and judge them.

    `endpoints` is an endpoints.json or its content. Waits at most `patience` seconds for messages in flight; those that
    are still in flight then are listed and the verdict is not ok. `require_terminal` also checks that every order has
    ended. Must be called without a running event loop. Raises `StackError` when the broker or a database does not
    answer.
    """
    found = json.loads(endpoints.read_text()) if isinstance(endpoints, Path) else endpoints
    return judge(asyncio.run(gather(found, patience)), require_terminal=require_terminal)
