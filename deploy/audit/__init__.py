"""The audit: proves the books from the topics and the databases, by code that shares nothing with the services."""

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
    """Reads everything, as `observer` and with the databases' own roles, and judges it.

    `endpoints` is an endpoints.json or its content. Waits at most `patience` seconds for what is in flight; what is
    still on its way then is named and the verdict is not ok. `require_terminal` also asks that every order has
    ended. Call it where no event loop runs. Raises `StackError` when broker or databases are away.
    """
    found = json.loads(endpoints.read_text()) if isinstance(endpoints, Path) else endpoints
    return judge(asyncio.run(gather(found, patience)), require_terminal=require_terminal)
