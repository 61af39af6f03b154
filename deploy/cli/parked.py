"""`halfday parked`: the dead letters of all services, seen and dealt with over their HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import httpx2
from cyclopts import App, Parameter

from contracts.topics import SERVICES
from deploy.local import endpoints
from deploy.local.errors import StackError

app = App(name="parked", help="Dead letters: records that could not be handled and wait, each blocking its scope only.")

Data = Annotated[Path, Parameter(help="Folder of a running stack.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Answer with one JSON object.")]
DATA = Path(".halfday")
_COLUMNS = ("id", "consumer", "scope", "attempts", "error")


@app.default
@app.command(name="list")
def listing(*, data: Data = DATA, as_json: AsJson = False) -> int:
    """List what is parked in every service, oldest first.

    Example: halfday parked list --json
    """
    with _Desk(data) as desk:
        found = [one for service in SERVICES for one in desk.parked(service)]
    if as_json:
        print(json.dumps({"parked": found}, ensure_ascii=False))
        return 0
    rows = [[str(one[column]) for column in _COLUMNS] for one in found]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    for row in ([list(_COLUMNS), *rows]) if rows else [["nothing is parked"]]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False)).rstrip())
    return 0


@app.command
def show(id: str, /, *, data: Data = DATA, as_json: AsJson = False) -> int:
    """Show one parked record: where it came from, its headers, and why it could not be handled.

    Example: halfday parked show inventory/3
    """
    service, number = split(id)
    with _Desk(data) as desk:
        found = desk.ask(service, "GET", f"/v1/parked/{number}") | {"id": id}
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    headers = found.pop("headers")
    for name, value in [*found.items(), *((f"header {name}", value) for name, value in headers.items())]:
        if value is not None:
            print(f"{name:<24} {value}")
    return 0


@app.command
def redrive(scope: str, /, *, data: Data = DATA, as_json: AsJson = False) -> int:
    """Try again what is parked under a scope, in order; exit code 1 when a record fails again.

    Example: halfday parked redrive 0198f2c1-7c3e-7d52-9b1e-0d6a3f6c9a11
    """
    with _Desk(data) as desk:
        results = [
            {"service": service, **result}
            for service in SERVICES
            for result in desk.ask(service, "POST", "/v1/parked:redrive", {"scope": scope})["results"]
        ]
    if as_json:
        print(json.dumps({"scope": scope, "results": results}, ensure_ascii=False))
    for result in [] if as_json else results:
        print(f"{result['consumer']}: {result['done']} handled" + (f"; then {result['error']}" * bool(result["error"])))
    if not results and not as_json:
        print(f"nothing is parked under {scope}")
    return 1 if any(result["error"] for result in results) else 0


@app.command
def discard(id: str, /, *, why: str, data: Data = DATA, as_json: AsJson = False) -> int:
    """Give a parked record up for ever; the reason is kept, and the next of its scope may run.

    Example: halfday parked discard orders/7 --why "sent by a test"
    """
    service, number = split(id)
    with _Desk(data) as desk:
        desk.ask(service, "POST", f"/v1/parked/{number}:discard", {"why": why})
    print(json.dumps({"id": id, "discarded": True}) if as_json else f"{id} is given up")
    return 0


def split(id: str) -> tuple[str, int]:
    """Service and number of a record as the list names it. Raises `StackError` for anything else."""
    service, _, number = id.partition("/")
    if service not in SERVICES or not number.isdecimal():
        raise StackError(f"{id!r} is no parked record: write it as `halfday parked list` does, such as orders/7")
    return service, int(number)


class _Desk:
    """The operator's way to the services of a running stack."""

    def __init__(self, data: Path) -> None:
        found = endpoints.read(data.absolute())
        self._urls: dict[str, str] = found["http"]
        headers = {"Authorization": f"Bearer {found['tokens']['operator']}"}
        self._client = httpx2.Client(headers=headers, timeout=30, trust_env=False)

    def __enter__(self) -> _Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, service: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON of an answer, empty where there is none. Raises `StackError` with the service's own words."""
        try:
            answer = self._client.request(method, self._urls[service] + path, json=body)
        except httpx2.TransportError as error:
            raise StackError(f"{service} does not answer: {error}") from None
        found: dict[str, Any] = answer.json() if answer.content else {}
        if answer.is_error:
            raise StackError(f"{service} says {answer.status_code}: {found.get('detail') or found.get('title')}")
        return found

    def parked(self, service: str) -> list[dict[str, Any]]:
        """Everything that is parked in a service, with ids that name it."""
        found, cursor = [], 0
        while cursor is not None:
            page = self.ask(service, "GET", f"/v1/parked?cursor={cursor}&limit=500")
            found += [one | {"id": f"{service}/{one['id']}"} for one in page["parked"]]
            cursor = page["next"]
        return found
