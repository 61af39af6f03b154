"""`halfday erase`: forgets the person of an order in every service, topic and archive of a running stack."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from contracts.topics import ORDERS
from deploy.cli.dead_letters import Client
from deploy.local.errors import StackError

Erasure = dict[str, Any]
_NEXT = (
    "A tombstone follows on the topic; Kafka drops the record before it within a day, at a later write beside it.\n"
    "Backups keep the person: keep the output of `halfday erase --list --json`, and replay it after a restore."
)


def erase(
    order: str = "",
    /,
    *,
    why: str = "",
    listing: Annotated[bool, Parameter(name="--list", negative="")] = False,
    replay: Path | None = None,
    data: Path = Path(".halfday"),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Forget who received an order: name, telephone number, door, code, and what buyer and courier wrote.

    For ever, in the databases of orders and dispatch, their archives, dead
    letters and uploads; on the private topic a tombstone follows. Order, goods
    and money stay, and so does a row that says when it was erased, by whom and
    why. The order must have ended: cancel it before. Safe to repeat.

    Example: halfday erase 0198f2c1-7c3e-7d52-9b1e-0d6a3f6c9a11 --why "asked by the buyer"

    Parameters
    ----------
    order
        The order's id.
    why
        At whose wish, or which period is over. It is kept, so it names nobody.
    listing
        List what was erased so far.
    replay
        Erase again all that a saved list (of --list --json) names and an older backup brought back.
    data
        Folder of a running stack.
    as_json
        Answer with one JSON object.
    """
    if [bool(order), listing, replay is not None].count(True) != 1 or bool(order) != bool(why):
        raise StackError('say one of: ORDER --why "...", --list, --replay FILE; see ./halfday erase --help')
    with Client(data) as desk:
        if listing:
            return _tell(_erased(desk), [], as_json)
        if replay is None:
            code = _tell([_erase(desk, order, why)], [], as_json)
            print(_NEXT, file=sys.stderr)
            return code
        done, unknown = [], []
        for one in _saved(replay):
            try:
                done.append(_erase(desk, one["order_id"], one["why"]))
            except StackError as error:
                if " 404: " not in str(error):
                    raise
                unknown.append(one["order_id"])  # taken after the backup
        return _tell(done, unknown, as_json)


def _erase(desk: Client, order: str, why: str) -> Erasure:
    return desk.ask(ORDERS, "POST", f"/v1/orders/{order}:erase", {"why": why})


def _erased(desk: Client) -> list[Erasure]:
    found: list[Erasure] = []
    cursor = ""
    while cursor is not None:
        page = desk.ask(ORDERS, "GET", f"/v1/erasures?limit=500{cursor and f'&cursor={cursor}'}")
        found += page["items"]
        cursor = page["next"]
    return found


def _saved(file: Path) -> list[Erasure]:
    try:
        found: list[Erasure] = json.loads(file.read_text())["erased"]
        return [{"order_id": str(one["order_id"]), "why": str(one["why"])} for one in found]
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"{file} is no list of `halfday erase --list --json`: {error!r}") from None


def _tell(erased: list[Erasure], unknown: list[str], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"erased": erased, "unknown": unknown}, ensure_ascii=False))
        return 0
    for one in erased:
        print(f"{one['order_id']}  erased {one['erased_at']} by {one['erased_by']}: {one['why']}")
    for id in unknown:
        print(f"{id}  is not known to this stack")
    if not erased and not unknown:
        print("nothing was erased yet")
    return 0
