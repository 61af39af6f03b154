"""`halfday access`: invites people, enrols devices, revokes both, and shows codes, on a running stack."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from contracts.topics import ACCESS
from deploy.cli.operator_api import OperatorApi
from deploy.local.stack import OTP_FILE

app = App(
    name="access",
    help="Who may do what: staff, leaders, households, stewards, stall terminals and couriers.\n\n"
    "A person accepts a link, a device its code. Both are shown once, as text and as QR code.\n\n"
    "The first member of staff is an admin; then devices follow.\n\n"
    "Example: halfday access invite staff --role admin",
)
app.command("deploy.cli.access_log:log", name="log")

Data = Annotated[Path, Parameter(help="Folder of a running stack.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object.")]
DATA = Path(".halfday")
Places = Annotated[tuple[str, ...], Parameter(negative="")]
_COLUMNS = ("subject", "kind", "role", "login", "status", "made_at")


@app.command
def enrol(
    kind: Literal["terminal", "courier"], id: str, /, *, at: Places = (), data: Data = DATA, as_json: AsJson = False
) -> int:
    """Make a code with which one device becomes a stall terminal or a courier's phone.

    The code is valid once, for ten minutes and five tries. Open the link or scan
    its QR code on the device, or type the code there. The device that was active
    before for the same terminal or courier ends; sales that it has not sent yet
    still count.

    Example: halfday access enrol terminal S1 --at simaochong

    Parameters
    ----------
    kind
        A stall's terminal, or a courier's phone.
    id
        The id of the terminal or courier in the catalogue.
    at
        A site of the terminal, or a station of the courier; may be repeated.
    """
    places = {"sites" if kind == "terminal" else "stations": list(at)} if at else {}
    with OperatorApi(data) as api:
        made = api.request(ACCESS, "POST", "/v1/enrolments", {"kind": kind, "id": id, **places})
    return _show_link(made, as_json, f"Code (设备登记码): {made['code']}", "on the device (在设备上扫码)")


@app.command
def invite(
    kind: Literal["staff", "leader", "household", "steward"],
    /,
    *,
    role: Literal["desk", "intake", "dispatcher", "finance", "admin"] | None = None,
    community: Places = (),
    point: Places = (),
    site: Places = (),
    station: Places = (),
    data: Data = DATA,
    as_json: AsJson = False,
) -> int:
    """Invite a person by a link that is valid once, for three days.

    Staff choose a name and a password and add the shown secret to an authenticator
    app. Leaders, households and stewards accept with their phone. Without places
    the person is not limited to any.

    Example: halfday access invite staff --role admin
    Example: halfday access invite leader --community qifeng --point qifeng-gate

    Parameters
    ----------
    kind
        What the person becomes.
    role
        The role of a member of staff; required for staff.
    community
        A community that the person is limited to; may be repeated, as the others.
    point
        A pickup point.
    site
        A market site.
    station
        A station.
    """
    given = {"communities": community, "points": point, "sites": site, "stations": station}
    bounds = {name: list(ids) for name, ids in given.items() if ids}
    body = {"kind": kind, "bounds": bounds} | ({"role": role} if role else {})
    with OperatorApi(data) as api:
        made = api.request(ACCESS, "POST", "/v1/invitations", body)
    return _show_link(
        made, as_json, "Send this link to the person (请把链接发给本人):", "on the person's device (请本人扫码)"
    )


@app.command
def revoke(subject: str, /, *, data: Data = DATA, as_json: AsJson = False) -> int:
    """Take all access from a person or device; every service refuses it within seconds.

    Keys, logins and open codes end. Enrol a device again to give access back.

    Example: halfday access revoke terminal.S1

    Parameters
    ----------
    subject
        The subject, as `halfday access list` shows it.
    """
    with OperatorApi(data) as api:
        found = api.request(ACCESS, "POST", f"/v1/principals/{quote(subject, safe='')}:revoke")
    print(json.dumps(found) if as_json else f"{found['subject']} is revoked since {found['revoked_at']}")
    return 0


@app.command(name="list")
def list_principals(*, data: Data = DATA, as_json: AsJson = False) -> int:
    """List the people and devices that have, or had, access.

    Example: halfday access list
    """
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    with OperatorApi(data) as api:
        while cursor is not None:
            page = api.request(ACCESS, "GET", f"/v1/principals?limit=500&cursor={quote(cursor)}")
            found += page["principals"]
            cursor = page["next"]
    if as_json:
        print(json.dumps({"principals": found}, ensure_ascii=False))
        return 0
    rows = [list(_COLUMNS), *([str(one[column] or "") for column in _COLUMNS] for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if found else []:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    if not found:
        print("no one yet; begin with: halfday access invite staff --role admin")
    return 0


@app.command
def rotate(*, data: Data = DATA, as_json: AsJson = False) -> int:
    """Sign tokens with the next key from now on.

    Tokens that were signed before stay valid until they expire, ten minutes at
    most. After a backup was lost rotate twice: the next key was in it too.

    Example: halfday access rotate
    """
    with OperatorApi(data) as api:
        found = api.request(ACCESS, "POST", "/v1/signing-keys:rotate")
    print(json.dumps(found) if as_json else f"tokens are signed with key {found['kid']}")
    return 0


@app.command
def codes(*, data: Data = DATA, as_json: AsJson = False) -> int:
    """Show the one-time codes of the last five minutes, to read one to its person.

    A stack without a provider of messages writes them to a file in its data folder.

    Example: halfday access codes
    """
    file = data / OTP_FILE
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    found = [json.loads(line) for line in lines]
    if as_json:
        print(json.dumps({"codes": found}))
        return 0
    for one in found:
        print(f"{datetime.fromisoformat(one['at']).astimezone():%H:%M:%S}  {one['phone']}  {one['code']}")
    if not found:
        print("no codes were requested")
    return 0


def _show_link(made: dict[str, Any], as_json: bool, first: str, scanned: str) -> int:
    if as_json:
        print(json.dumps({name: value for name, value in made.items() if name != "qr_svg"}))
        return 0
    until = datetime.fromisoformat(made["expires_at"]).astimezone()
    print(f"{first}\n{made['link']}\nValid once until {until:%Y-%m-%d %H:%M:%S} (有效期至).")
    if sys.stdout.isatty():
        import segno  # only this needs it

        print(f"Or scan {scanned}:")
        segno.make(made["link"], error="m", micro=False).terminal(compact=True)
    return 0
