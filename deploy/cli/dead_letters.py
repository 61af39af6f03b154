"""`halfday dead-letters`: lists, shows, redrives and discards the dead letters of all services over HTTP."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from contracts.topics import SERVICES
from deploy.cli.operator_api import OperatorApi
from deploy.local.errors import StackError

app = App(
    name="dead-letters",
    help="Dead letters: records that a service could not process.\n\n"
    "Each blocks only later records of its scope. List them, show one, fix the cause, redrive its scope.\n\n"
    "Example: halfday dead-letters list --data ./market",
)

Data = Annotated[Path, Parameter(help="Folder of a running stack.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object.")]
DATA = Path(".halfday")
_COLUMNS = ("id", "consumer", "scope", "attempts", "parked_at", "error")


@app.default
@app.command(name="list")
def list_records(*, data: Data = DATA, as_json: AsJson = False) -> int:
    """List the dead letters of every service, oldest first.

    The first record of a scope could not be processed; later ones wait behind it
    with 0 attempts. No record is lost, and records outside of these scopes do not
    wait. Exit code 1 when a service does not answer.

    Example: halfday dead-letters list --json
    """
    with OperatorApi(data) as api:
        answers, missing = api.each(lambda service: _records(api, service))
    found = [record for service in answers for record in answers[service]]
    if as_json:
        print(json.dumps({"parked": found, "missing": missing}, ensure_ascii=False))
        return 1 if missing else 0
    rows = [[str(record[column]) for column in _COLUMNS] for record in found]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    for row in [list(_COLUMNS), *rows] if rows else []:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    if not rows and not missing:
        print("no dead letters")
    if rows:
        _hint(data, "show the first", f"show {found[0]['id']}")
    return _report(missing)


@app.command
def show(id: str, /, *, data: Data = DATA, as_json: AsJson = False) -> int:
    """Show one dead letter: its origin, headers and error.

    Fix the cause first (a missing entity, a service of an older version), then
    redrive its scope.

    Example: halfday dead-letters show inventory/3
    """
    service, number = split(id)
    with OperatorApi(data) as api:
        found = api.request(service, "GET", f"/v1/parked/{number}") | {"id": id}
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    headers = found.pop("headers")
    for name, value in [*found.items(), *((f"header {name}", value) for name, value in headers.items())]:
        if value is not None:
            print(f"{name:<24} {value}")
    if not found["discarded_at"]:
        _hint(data, "when the cause is fixed", f"redrive {shlex.quote(found['scope'])}")
        _hint(data, "if it can never be processed", f'discard {id} --why "..."')
    return 0


@app.command
def redrive(scope: str, /, *, data: Data = DATA, as_json: AsJson = False) -> int:
    """Process the dead letters of a scope again, in order.

    Safe to repeat: a record that was processed is not processed twice. A record
    that fails again stays, and so do those behind it; the exit code is 1 then.

    Example: halfday dead-letters redrive 0198f2c1-7c3e-7d52-9b1e-0d6a3f6c9a11
    """
    with OperatorApi(data) as api:
        answers, missing = api.each(lambda service: _redrive(api, service, scope))
    results = [{"service": service, **one} for service in answers for one in answers[service]]
    failed = any(result["error"] for result in results)
    if as_json:
        print(json.dumps({"scope": scope, "results": results, "missing": missing}, ensure_ascii=False))
        return 1 if failed or missing else 0
    for result in results:
        error = f"; then {result['error']}" if result["error"] else ""
        print(f"{result['consumer']}: {result['done']} processed{error}")
    if not results and not missing:
        print(f"no dead letters in scope {scope}" + ("; that is a record id, expected its scope" * _is_id(scope)))
    return 1 if _report(missing) or failed else 0


@app.command
def discard(id: str, /, *, why: str, data: Data = DATA, as_json: AsJson = False) -> int:
    """Discard a dead letter for good; the reason is kept.

    The record never takes effect: an order that waits for it waits until its own
    deadline. The next record of its scope can then run. The audit keeps listing it.

    Example: halfday dead-letters discard orders/7 --why "sent by a test"
    """
    service, number = split(id)
    with OperatorApi(data) as api:
        api.request(service, "POST", f"/v1/parked/{number}:discard", {"why": why})
        scope = api.request(service, "GET", f"/v1/parked/{number}")["scope"]
    if as_json:
        print(json.dumps({"id": id, "scope": scope, "discarded": True}))
        return 0
    print(f"{id} is discarded")
    _hint(data, "process those behind it", f"redrive {shlex.quote(scope)}")
    return 0


def split(id: str) -> tuple[str, int]:
    """Return service and number of a record id, as the list prints it. Raises `StackError` for anything else."""
    if not _is_id(id):
        raise StackError(f"invalid record id {id!r}, expected SERVICE/NUMBER such as orders/7")
    service, _, number = id.partition("/")
    return service, int(number)


def _is_id(text: str) -> bool:
    service, _, number = text.partition("/")
    return service in SERVICES and number.isdecimal()


def _hint(data: Path, when: str, arguments: str) -> None:
    """Print a next command that can be copied."""
    where = "" if data == DATA else f" --data {shlex.quote(str(data))}"
    print(f"{when}: ./halfday dead-letters {arguments}{where}", file=sys.stderr)


def _report(missing: dict[str, str]) -> int:
    """Print why services did not answer; return an exit code."""
    for why in missing.values():
        print(why, file=sys.stderr)
    return 1 if missing else 0


def _records(api: OperatorApi, service: str) -> list[dict[str, Any]]:
    """Return all dead letters of a service, with ids that name the service."""
    found, cursor = [], 0
    while cursor is not None:
        page = api.request(service, "GET", f"/v1/parked?cursor={cursor}&limit=500")
        found += [record | {"id": f"{service}/{record['id']}"} for record in page["parked"]]
        cursor = page["next"]
    return found


def _redrive(api: OperatorApi, service: str, scope: str) -> list[dict[str, Any]]:
    """Return the result of each consumer of a service; the request is repeated while a long queue is not finished."""
    found: dict[str, dict[str, Any]] = {}
    more = True
    while more:
        results = api.request(service, "POST", "/v1/parked:redrive", {"scope": scope})["results"]
        for one in results:
            done = found.get(one["consumer"], {}).get("done", 0)
            found[one["consumer"]] = one | {"done": one["done"] + done}
        more = any(one.get("more") for one in results)
    return list(found.values())
