"""`halfday doctor`: checks the machine, a data folder and its stack."""

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
    """Check that this machine can run the stack, and the state of a data folder and its stack.

    Read-only: nothing is fetched, started or changed. Exit code 0 only if nothing
    is missing; each missing thing says what to do about it. Whether topics and
    databases agree is checked by `halfday audit`.

    Example: halfday doctor --data ./market --json

    Parameters
    ----------
    data
        Folder to check, if it exists.
    as_json
        Print one JSON object.
    """
    data = data.absolute()
    checks: dict[str, Callable[[], str]] = dict(CHECKS)
    if data.is_dir():
        checks |= {what: partial(check, data) for what, check in DATA_CHECKS.items()}
    elif data.exists():
        checks["data"] = partial(_no_folder, data)
    findings = [_finding(what, check) for what, check in checks.items()]
    missing = [finding for finding in findings if not finding["ok"]]
    if as_json:
        print(json.dumps({"ok": not missing, "findings": findings}))
        return 1 if missing else 0
    for finding in findings:
        print(f"{'ok' if finding['ok'] else 'MISSING':<8} {finding['what']:<12} {finding['says']}")
    if not data.exists():
        print(f"{'':<8} {'data':<12} {data} does not exist yet; ./halfday up creates it")
    return 1 if missing else 0


def _no_folder(data: Path) -> str:
    raise StackError(f"{data} is not a folder; choose one with --data")


def _finding(what: str, check: Callable[[], str]) -> dict[str, object]:
    try:
        return {"what": what, "ok": True, "says": check()}
    except StackError as error:
        return {"what": what, "ok": False, "says": str(error)}
    except OSError as error:
        return {"what": what, "ok": False, "says": f"can't be checked: {error}"}
