"""`halfday audit`: checks that topics and databases of a running stack agree."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def audit(
    *,
    data: Path = Path(".halfday"),
    ended: Annotated[bool, Parameter(negative="")] = False,
    republish: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Check that topics and databases agree, and list the differences, the first one first.

    Waits up to 10 s for messages in flight. Dead letters are listed and explain differences about their subjects.
    Exit code 1 when something differs or is still in flight.

    Example: halfday audit --data ./market

    Parameters
    ----------
    data
        Folder of a running stack.
    ended
        Also check that every order has ended.
    republish
        First republish the archived records that the log has lost.
    as_json
        Print the verdict as one JSON object.
    """
    from deploy.audit import run
    from deploy.audit.republish import republish as republish_lost
    from deploy.local import endpoints
    from deploy.local.data.lock import owner

    data = data.absolute()
    found = endpoints.read(data)
    if owner(data) is None:  # the stack was killed, else it had removed its endpoints
        raise endpoints.not_running(data)
    if republish:
        print("\n".join(republish_lost(found) or ["The log has lost no record."]), file=sys.stderr)
    verdict = run(found, require_terminal=ended)
    print(json.dumps(verdict.as_json(), ensure_ascii=False) if as_json else "\n".join(verdict.lines))
    return 0 if verdict.ok else 1
