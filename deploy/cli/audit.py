"""`halfday audit`: proves the books of a running stack."""

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
    """Prove the books from the topics and the databases; the first thing that differs is named first.

    Waits up to 10 s for what is on its way. Parked records are listed as accounted for. Exit code 1 when something
    differs or is still on its way.

    Example: halfday audit --data ./market

    Parameters
    ----------
    data
        Folder of a running stack.
    ended
        Also ask that every order has come to its end.
    republish
        Before that, send again what the archives know and the log has lost.
    as_json
        The verdict as one JSON object.
    """
    from deploy.audit import run
    from deploy.audit.republish import republish as send_again
    from deploy.local import endpoints
    from deploy.local.data.lock import owner

    data = data.absolute()
    found = endpoints.read(data)
    if owner(data) is None:  # it was killed, else its endpoints were not there
        raise endpoints.not_running(data)
    if republish:
        print("\n".join(send_again(found) or ["The log has lost nothing."]), file=sys.stderr)
    verdict = run(found, require_terminal=ended)
    print(json.dumps(verdict.as_json(), ensure_ascii=False) if as_json else "\n".join(verdict.lines))
    return 0 if verdict.ok else 1
