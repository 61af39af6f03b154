"""`halfday doctor`: what the machine has and lacks, in words."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from deploy.local.commands.doctor_data import CHECKS as DATA_CHECKS
from deploy.local.commands.doctor_machine import CHECKS
from deploy.local.errors import StackError


def doctor(
    *, data: Path = Path(".halfday"), as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> int:
    """Say what this machine has and lacks to run the stack, and how a data folder and its stack are.

    Looks only: nothing is fetched, started or changed. Exit code 0 only if
    nothing is lacking; what is lacking says what to do about it. Whether the
    books are right is for `halfday audit` to say.

    Example: halfday doctor --data ./market --json

    Parameters
    ----------
    data
        The folder to look at, if it is there.
    as_json
        The findings as one JSON object.
    """
    data = data.absolute()
    checks: dict[str, Callable[[], str]] = dict(CHECKS)
    if data.is_dir():
        checks |= {what: partial(check, data) for what, check in DATA_CHECKS.items()}
    elif data.exists():
        checks["data"] = partial(_no_folder, data)
    findings = [_finding(what, check) for what, check in checks.items()]
    lacking = [finding for finding in findings if not finding["ok"]]
    if as_json:
        print(json.dumps({"ok": not lacking, "findings": findings}))
        return 1 if lacking else 0
    for finding in findings:
        print(f"{'ok' if finding['ok'] else 'LACKS':<6} {finding['what']:<12} {finding['says']}")
    if not data.exists():
        print(f"{'':<6} {'data':<12} {data} is not there yet; ./halfday up makes it")
    return 1 if lacking else 0


def _no_folder(data: Path) -> str:
    raise StackError(f"{data} is no folder; name one with --data")


def _finding(what: str, check: Callable[[], str]) -> dict[str, object]:
    try:
        return {"what": what, "ok": True, "says": check()}
    except StackError as error:
        return {"what": what, "ok": False, "says": str(error)}
    except OSError as error:
        return {"what": what, "ok": False, "says": f"can't be looked at: {error}"}
