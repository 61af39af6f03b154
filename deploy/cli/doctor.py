"""`halfday doctor`: what the machine has and lacks, in words."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import psutil
from cyclopts import Parameter

from deploy.local import identity, jars, java, postgres
from deploy.local.cache import cache_dir
from deploy.local.errors import StackError

MEMORY_NEEDED = 2_000_000_000
DISK_NEEDED = 2_000_000_000


def doctor(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Say what this machine has and lacks to run the stack; exit code 0 only if nothing is lacking.

    Looks only: nothing is fetched or started.

    Example: halfday doctor --json
    """
    findings = [_finding(what, check) for what, check in CHECKS.items()]
    lacking = [finding for finding in findings if not finding["ok"]]
    if as_json:
        print(json.dumps({"ok": not lacking, "findings": findings}))
    else:
        for finding in findings:
            print(f"{'ok' if finding['ok'] else 'LACKS':<6} {finding['what']:<12} {finding['says']}")
    return 1 if lacking else 0


def _finding(what: str, check: Callable[[], str]) -> dict[str, object]:
    try:
        return {"what": what, "ok": True, "says": check()}
    except StackError as error:
        return {"what": what, "ok": False, "says": str(error)}


def _python() -> str:
    return f"{platform.python_version()} at {sys.executable}"


def _java() -> str:
    found = java.find_java()
    speed = "" if found.has_aot_cache else "; with 25 or newer the broker would start twice as fast"
    return f"{'.'.join(map(str, found.version))} at {found.path}{speed}"


def _jars() -> str:
    if any(os.environ.get(name) for name in ("KAFKA_HOME", "HALFDAY_KAFKA_JARS")):
        return f"{len(jars.class_path())} jars from the folder that the environment names"
    folder = cache_dir() / "jars"
    locked = jars.read_lock()
    there = sum(jar.verified(jar.within(folder)) for jar in locked)
    if there < len(locked):
        return f"{there} of {len(locked)} jars in {folder}; the rest (45 MB in all) is fetched on the first run"
    return f"all {there} jars in {folder}, verified"


def _postgres() -> str:
    who = {
        "same": "runs as you",
        "mapped": "you are root, so it runs in a user namespace",
        "user": "you are root, so it runs as another user",
    }
    return f"{postgres.binaries()}; {who[identity.for_postgres().split(':')[0]]}"


def _cores() -> str:
    count = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
    return f"{count}" + ("" if count >= 2 else "; two make a market day twice as quick")


def _memory() -> str:
    free = psutil.virtual_memory().available
    if free < MEMORY_NEEDED:
        raise StackError(f"{free / 1e9:.1f} GB free; the stack wants about {MEMORY_NEEDED / 1e9:.0f} GB")
    return f"{free / 1e9:.1f} GB free"


def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free
    if free < DISK_NEEDED:
        raise StackError(f"{free / 1e9:.1f} GB free in this folder; the stack wants about {DISK_NEEDED / 1e9:.0f} GB")
    return f"{free / 1e9:.1f} GB free in this folder"


CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "java": _java,
    "kafka": _jars,
    "postgresql": _postgres,
    "cores": _cores,
    "memory": _memory,
    "disk": _disk,
}
