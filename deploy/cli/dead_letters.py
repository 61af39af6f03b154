"""`halfday parked`: the dead letters of all services, seen and dealt with over their HTTP."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx2
from cyclopts import App, Parameter

from contracts.topics import SERVICES
from deploy.local import endpoints
from deploy.local.data.lock import owner
from deploy.local.errors import StackError

T = TypeVar("T")

app = App(
    name="parked",
    help="Dead letters: records that could not be handled and wait.\n\n"
    "Each blocks its own scope only. List them, show one, mend the cause, redrive.\n\n"
    "Example: halfday parked list --data ./market",
)

Data = Annotated[Path, Parameter(help="Folder of a running stack.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Answer with one JSON object.")]
DATA = Path(".halfday")
_COLUMNS = ("id", "consumer", "scope", "attempts", "parked_at", "error")


@app.default
@app.command(name="list")
def listing(*, data: Data = DATA, as_json: AsJson = False) -> int:
    """List what is parked in every service, oldest first.

    The first record of a scope could not be handled, the rest queue behind it
    with 0 attempts. Nothing here is lost, and nothing outside of these scopes
    waits. Exit code 1 when a service could not be asked.

    Example: halfday parked list --json
    """
    with Client(data) as desk:
        answers, missing = desk.each(desk.parked)
    found = [one for service in answers for one in answers[service]]
    if as_json:
        print(json.dumps({"parked": found, "missing": missing}, ensure_ascii=False))
        return 1 if missing else 0
    rows = [[str(one[column]) for column in _COLUMNS] for one in found]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    for row in [list(_COLUMNS), *rows] if rows else []:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    if not rows and not missing:
        print("nothing is parked")
    if rows:
        _hint(data, "look closer", f"show {found[0]['id']}")
    return _say(missing)


@app.command
def show(id: str, /, *, data: Data = DATA, as_json: AsJson = False) -> int:
    """Show one parked record: whence it came, its headers, why it waits.

    Mend the cause first (a missing entity, a service of an older version), then
    redrive its scope.

    Example: halfday parked show inventory/3
    """
    service, number = split(id)
    with Client(data) as desk:
        found = desk.ask(service, "GET", f"/v1/parked/{number}") | {"id": id}
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    headers = found.pop("headers")
    for name, value in [*found.items(), *((f"header {name}", value) for name, value in headers.items())]:
        if value is not None:
            print(f"{name:<24} {value}")
    if not found["discarded_at"]:
        _hint(data, "once the cause is mended", f"redrive {shlex.quote(found['scope'])}")
        _hint(data, "if it can never be handled", f'discard {id} --why "..."')
    return 0


@app.command
def redrive(scope: str, /, *, data: Data = DATA, as_json: AsJson = False) -> int:
    """Try again what is parked under a scope, in order.

    Safe to repeat: what was handled once is never handled twice. A record that
    fails again stays parked, and so do those behind it; exit code 1 then.

    Example: halfday parked redrive 0198f2c1-7c3e-7d52-9b1e-0d6a3f6c9a11
    """
    with Client(data) as desk:
        answers, missing = desk.each(lambda service: desk.redrive(service, scope))
    results = [{"service": service, **one} for service in answers for one in answers[service]]
    failed = any(result["error"] for result in results)
    if as_json:
        print(json.dumps({"scope": scope, "results": results, "missing": missing}, ensure_ascii=False))
        return 1 if failed or missing else 0
    for result in results:
        print(f"{result['consumer']}: {result['done']} handled" + (f"; then {result['error']}" * bool(result["error"])))
    if not results and not missing:
        print(f"nothing is parked under {scope}" + "; that is an id, its scope stands beside it" * _is_id(scope))
    return 1 if _say(missing) or failed else 0


@app.command
def discard(id: str, /, *, why: str, data: Data = DATA, as_json: AsJson = False) -> int:
    """Give a parked record up for ever; the reason is kept.

    Its effect never happens: an order that waits for it waits until its own
    deadline. The next of its scope may then run. The audit goes on listing it.

    Example: halfday parked discard orders/7 --why "sent by a test"
    """
    service, number = split(id)
    with Client(data) as desk:
        desk.ask(service, "POST", f"/v1/parked/{number}:discard", {"why": why})
        scope = desk.ask(service, "GET", f"/v1/parked/{number}")["scope"]
    if as_json:
        print(json.dumps({"id": id, "scope": scope, "discarded": True}))
        return 0
    print(f"{id} is given up")
    _hint(data, "run what waited behind it", f"redrive {shlex.quote(scope)}")
    return 0


def split(id: str) -> tuple[str, int]:
    """Service and number of a record as the list names it. Raises `StackError` for anything else."""
    if not _is_id(id):
        raise StackError(f"{id!r} is no parked record: write it as `halfday parked list` does, such as orders/7")
    service, _, number = id.partition("/")
    return service, int(number)


def _is_id(text: str) -> bool:
    service, _, number = text.partition("/")
    return service in SERVICES and number.isdecimal()


def _hint(data: Path, when: str, words: str) -> None:
    """What an operator may do next, ready to be copied."""
    where = "" if data == DATA else f" --data {shlex.quote(str(data))}"
    print(f"{when}: ./halfday parked {words}{where}", file=sys.stderr)


def _say(missing: dict[str, str]) -> int:
    """Names the services that could not be asked; the exit code."""
    for why in missing.values():
        print(why, file=sys.stderr)
    return 1 if missing else 0


class Client:
    """The operator's way to the services of a running stack."""

    def __init__(self, data: Path) -> None:
        self._data = data.absolute()
        found = endpoints.read(self._data)
        self._urls: dict[str, str] = found["http"]
        headers = {"Authorization": f"Bearer {found['tokens']['operator']}"}
        self._client = httpx2.Client(headers=headers, timeout=30, trust_env=False)

    def __enter__(self) -> Client:
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

    def each(self, ask: Callable[[str], T]) -> tuple[dict[str, T], dict[str, str]]:
        """What each service answers, and why the others did not: one that is away hides no other's records."""
        answers: dict[str, T] = {}
        missing: dict[str, str] = {}
        for service in SERVICES:
            try:
                answers[service] = ask(service)
            except StackError as error:
                missing[service] = str(error)
        if not answers and owner(self._data) is None:  # it was killed, else its endpoints were not there
            raise endpoints.not_running(self._data)
        return answers, missing

    def redrive(self, service: str, scope: str) -> list[dict[str, Any]]:
        """What each consumer of a service came to, asked again for as long as time runs out on a long queue."""
        found: dict[str, dict[str, Any]] = {}
        more = True
        while more:
            results = self.ask(service, "POST", "/v1/parked:redrive", {"scope": scope})["results"]
            for one in results:
                done = found.get(one["consumer"], {}).get("done", 0)
                found[one["consumer"]] = one | {"done": one["done"] + done}
            more = any(one.get("more") for one in results)
        return list(found.values())

    def parked(self, service: str) -> list[dict[str, Any]]:
        """Everything that is parked in a service, with ids that name it."""
        found, cursor = [], 0
        while cursor is not None:
            page = self.ask(service, "GET", f"/v1/parked?cursor={cursor}&limit=500")
            found += [one | {"id": f"{service}/{one['id']}"} for one in page["parked"]]
            cursor = page["next"]
        return found
