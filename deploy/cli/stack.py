"""`halfday up`, `status`, `logs`, `down`: run a stack."""

import json
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import psutil
from cyclopts import Parameter, validators
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from deploy.local import endpoints, supervisor
from deploy.local.data.files import make_data_folder
from deploy.local.data.lock import owner, refuse_running, stop_owner
from deploy.local.data.options import Options, parse_workers
from deploy.local.door.lan import check_address, find_address
from deploy.local.errors import StackError
from deploy.local.kafka import jars
from deploy.local.stack import Stack

DATA = Path(".halfday")
AsJson = Annotated[bool, Parameter(name="--json", negative="")]
Switch = Annotated[bool, Parameter(negative="")]


def up(
    *,
    data: Path = DATA,
    port_base: Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=65535))] = None,
    workers: str = "",
    lan: Switch = False,
    lan_address: str = "",
    detach: Switch = False,
    as_json: AsJson = False,
    secrets: Switch = False,
) -> None:
    """Start Kafka, PostgreSQL and the services on a data folder, print their addresses, keep them running.

    Ctrl-C or `halfday down` stops them; the data stays in the folder. Data of a
    version with other contracts is refused.

    Programs and browsers use the front door: one address for all services, as
    /api/orders/v1/..., /api/inventory/v1/... and so on. Other devices reach it
    only with --lan, over HTTPS. The certificate is of an authority that this
    data folder makes for itself, so each phone has to trust it once: scan the
    printed QR code, follow the page, and compare the fingerprint. Phones must be
    in the same network, and a firewall of this machine must let them in.

    Example: halfday up --data ./market --workers orders=2,dispatch=3 --detach
    Example: halfday up --lan

    Parameters
    ----------
    data
        Data folder.
    port_base
        First of consecutive ports; by default ports are random and kept for the folder.
    workers
        Worker processes per service, if not one, such as orders=2.
    lan
        Let devices on the local network in, over HTTPS.
    lan_address
        The address of this machine to use for that, where it has several; implies --lan.
    detach
        Return when the stack is ready; it keeps running.
    as_json
        Print endpoints.json instead of text, without passwords and tokens.
    secrets
        With --json: include passwords and tokens.
    """
    address = check_address(lan_address) if lan_address else find_address() if lan else ""
    options = Options(port_base, parse_workers(workers), lan=address)
    data = data.absolute()
    make_data_folder(data)
    refuse_running(data)
    if not as_json:
        print(f"Starting Kafka, PostgreSQL and the services on {data} ...", flush=True)
    _fetch_jars()
    if detach:
        supervisor.wait_ready(supervisor.launch(data, options), data)
        _print_endpoints(data, as_json, secrets)
    else:
        supervisor.serve(data, options, say=_say, started=lambda stack: _when_ready(stack, as_json, secrets))


def status(*, data: Path = DATA, as_json: AsJson = False) -> int:
    """Show every process of the stack and its readiness; exit code 0 only if all are ready.

    Example: halfday status --data ./market --json
    """
    data = data.absolute()
    if owner(data) is None:
        raise endpoints.not_running(data)
    ready = endpoints.readiness(data)
    rows = []
    for process in endpoints.read(data)["processes"]:
        alive = psutil.pid_exists(process["pid"])
        rows.append({**process, "state": ready.get(process["name"], "running") if alive else "restarting"})
    fine = all(row["state"] == "running" or endpoints.is_ready(row["state"]) for row in rows)
    if as_json:
        print(json.dumps({"ready": fine, "processes": rows}))
    else:
        for row in rows:
            print(f"{row['name']:<20} {row['pid']:>8}  {row['state']}")
    return 0 if fine else 1


def logs(
    name: str = "",
    /,
    *,
    data: Path = DATA,
    lines: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 20,
    follow: Switch = False,
) -> None:
    """Show the last lines of a process's log, or of all; with --follow also new ones.

    Example: halfday logs orders.worker --follow

    Parameters
    ----------
    name
        A process of `halfday status`, or supervisor.
    lines
        Lines of each log.
    follow
        Show new lines until Ctrl-C.
    """
    files = sorted((data / "logs").glob(f"{name or '*'}.log"))
    if not files:
        raise StackError(
            f"no log of {name or 'any process'} in {data.absolute() / 'logs'}; `halfday status` lists the processes"
        )
    ends = {}
    for file in files:
        text = file.read_text(errors="replace")
        ends[file] = file.stat().st_size
        _show(file, "\n".join(text.splitlines()[-lines:] if lines else []), label=len(files) > 1)
    while follow:
        time.sleep(0.3)
        for file, end in ends.items():
            ends[file] = _show_from(file, end, label=len(files) > 1)


def down(*, data: Path = DATA) -> None:
    """Stop the stack of a data folder and wait until it has ended; its data is kept.

    Example: halfday down --data ./market
    """
    if stop_owner(data.absolute()):
        print(f"stopped; the data is in {data.absolute()}")
    else:
        print(f"no stack runs on {data.absolute()}")


def _say(line: str) -> None:
    print(line, flush=True)


def _when_ready(stack: Stack, as_json: bool, secrets: bool) -> None:
    stack.wait_ready()
    _print_endpoints(stack.data, as_json, secrets)


def _print_endpoints(data: Path, as_json: bool, secrets: bool) -> None:
    found = endpoints.read(data)
    if as_json:
        print(json.dumps(found if secrets else endpoints.without_secrets(found), indent=1), flush=True)
        return
    print(f"{'door':<10} {found['door']}")
    for service, url in found["http"].items():
        print(f"{service:<10} {url}/v1, documented at {_operations(found, service)}/docs")
    print(f"{'kafka':<10} {found['kafka']['bootstrap']} (user {found['kafka']['security']['username']})")
    for service, url in found["postgres"].items():
        print(f"{'database':<10} {service} at {url.rpartition('@')[2]}")
    print(f"Passwords and tokens: {data / endpoints.FILE}", flush=True)
    if found["lan"]:
        _print_lan(found["lan"])


def _operations(found: Mapping[str, Any], service: str) -> str:
    pages: dict[str, str] = found["operations"]
    return pages.get(f"{service}.api") or pages[service]  # access is one process


def _print_lan(lan: Mapping[str, str]) -> None:
    print(f"\nDevices on the local network: {lan['url']}")
    print(f"Once on each phone, to trust this machine, scan or open {lan['trust']} (首次使用，请扫码信任证书)")
    if sys.stdout.isatty():
        import segno  # only this needs it

        segno.make(lan["trust"]).terminal(compact=True)
    print(f"Fingerprint of the certificate (SHA-256, 证书指纹):\n{lan['fingerprint']}", flush=True)


def _fetch_jars() -> None:
    """Fetch missing jars with a progress bar; print nothing when all are cached."""
    with ExitStack() as shown:
        bar = Progress(TextColumn("Fetching Kafka, once"), BarColumn(), MofNCompleteColumn(), transient=True)
        task = bar.add_task("", total=None)

        def progress(done: int, total: int) -> None:
            if not bar.live.is_started:
                shown.enter_context(bar)
            bar.update(task, completed=done, total=total)

        jars.class_path(progress)


def _show(file: Path, text: str, label: bool) -> None:
    for line in text.splitlines():
        print(f"{file.stem}: {line}" if label else line, flush=True)


def _show_from(file: Path, end: int, label: bool) -> int:
    size = file.stat().st_size
    with file.open("rb") as opened:
        opened.seek(end if size >= end else 0)  # a rotated log is read from its beginning
        text = opened.read()
    _show(file, text.decode(errors="replace"), label)
    return size
