"""`halfday erase`: erases personal data in every service, topic and archive of a running stack."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from contracts.topics import ORDERS
from deploy.cli.operator_api import OperatorApi
from deploy.local.errors import StackError

Erasure = dict[str, Any]
_NEXT = (
    "A tombstone is published; Kafka removes the record before it within a day, at the next write to the partition.\n"
    "Backups still hold the data: keep the output of `halfday erase --list --json` and replay it after a restore."
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
    """Erase an order's personal data: name, telephone number, address, code, notes of buyer and courier.

    The data is removed for good from the databases of orders and dispatch, their
    archives, dead letters and uploads; a tombstone is published on the private
    topic. Order, goods and money stay, and a record of the erasure with time,
    operator and reason. The order must have ended, so cancel it first. Safe to
    repeat.

    Example: halfday erase 0198f2c1-7c3e-7d52-9b1e-0d6a3f6c9a11 --why "requested by the buyer"

    Parameters
    ----------
    order
        The order's id.
    why
        The reason, such as a request or an expired period. It is kept, so it must not name anyone.
    listing
        List the erasures so far.
    replay
        Erase again everything in a saved list (of --list --json), after a restore of an older backup.
    data
        Folder of a running stack.
    as_json
        Print one JSON object.
    """
    if [bool(order), listing, replay is not None].count(True) != 1 or bool(order) != bool(why):
        raise StackError('expected one of: ORDER --why "...", --list, --replay FILE; see ./halfday erase --help')
    with OperatorApi(data) as api:
        if listing:
            return _print(_erased(api), [], as_json)
        if replay is None:
            code = _print([_erase(api, order, why)], [], as_json)
            print(_NEXT, file=sys.stderr)
            return code
        done, unknown = [], []
        for one in _saved(replay):
            try:
                done.append(_erase(api, one["order_id"], one["why"]))
            except StackError as error:
                if " 404: " not in str(error):
                    raise
                unknown.append(one["order_id"])  # ordered after the backup
        return _print(done, unknown, as_json)


def _erase(api: OperatorApi, order: str, why: str) -> Erasure:
    return api.request(ORDERS, "POST", f"/v1/orders/{order}:erase", {"why": why})


def _erased(api: OperatorApi) -> list[Erasure]:
    found: list[Erasure] = []
    cursor = ""
    while cursor is not None:
        page = api.request(ORDERS, "GET", f"/v1/erasures?limit=500{cursor and f'&cursor={cursor}'}")
        found += page["items"]
        cursor = page["next"]
    return found


def _saved(file: Path) -> list[Erasure]:
    try:
        found: list[Erasure] = json.loads(file.read_text())["erased"]
        return [{"order_id": str(one["order_id"]), "why": str(one["why"])} for one in found]
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"{file} is not the output of `halfday erase --list --json`: {error!r}") from None


def _print(erased: list[Erasure], unknown: list[str], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"erased": erased, "unknown": unknown}, ensure_ascii=False))
        return 0
    for one in erased:
        print(f"{one['order_id']}  erased {one['erased_at']} by {one['erased_by']}: {one['why']}")
    for id in unknown:
        print(f"{id}  is unknown to this stack")
    if not erased and not unknown:
        print("no erasures yet")
    return 0
