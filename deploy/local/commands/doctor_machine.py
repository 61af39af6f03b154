"""Checks of this machine: each returns a sentence, or raises `StackError` with what to do."""

import os
import platform
import re
import resource
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from deploy.local.data.ports import HIGHEST, LOWEST, is_free
from deploy.local.door import process as door
from deploy.local.errors import StackError
from deploy.local.kafka import jars, java
from deploy.local.postgres import run_as, server
from deploy.local.processes import child
from deploy.local.processes.child import ROOT
from deploy.local.setup.cache import cache_dir

MEMORY_NEEDED = 2_000_000_000
DISK_NEEDED = 2_000_000_000
FILES_NEEDED = 1024
PORTS_NEEDED = 18  # 5 of the broker and the database, 9 of the services, 3 of the front door, one spare
_CODE_DAY = 1_760_000_000  # autumn 2025: an earlier clock is wrong, and every order's time would be


def python() -> str:
    """Report the running Python."""
    return f"{platform.python_version()} at {sys.executable}"


def wheels() -> str:
    """Check that every locked package is installed in its locked version."""
    locked = ROOT / "requirements.txt"
    if not locked.exists():
        return "installed as a package; versions are not compared"
    wanted: dict[str, set[str]] = defaultdict(set)
    for name, locked_in, marker in re.findall(r"^([a-z0-9._-]+)==(\S+)( ;)?", locked.read_text(), re.M):
        wanted[name] |= {locked_in, *([""] if marker else [])}  # one with a marker may be absent
    wrong = [name for name, fitting in wanted.items() if _installed(name) not in fitting]
    if wrong:
        raise StackError(
            f"{len(wrong)} of {len(wanted)} packages differ from their locked versions, such as {wrong[0]}; "
            "remove .venv and run ./halfday again"
        )
    return f"all as locked, {len(wanted)} packages"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def java_runtime() -> str:
    """Report the Java that would run the broker."""
    found = java.find_java()
    speed = "" if found.has_aot_cache else "; with 25 or newer the broker would start twice as fast"
    return f"{'.'.join(map(str, found.version))} at {found.path}{speed}"


def kafka() -> str:
    """Report the broker's jars and how many are verified."""
    if any(os.environ.get(name) for name in ("KAFKA_HOME", "HALFDAY_KAFKA_JARS")):
        return f"{len(jars.class_path())} jars from the folder in the environment"
    folder = cache_dir() / "jars"
    locked = jars.read_lock()
    there = sum(jar.verified(jar.within(folder)) for jar in locked)
    if there < len(locked):
        return f"{there} of {len(locked)} jars in {folder}; the rest (45 MB in all) is fetched on the first run"
    return f"all {there} jars in {folder}, verified"


def postgresql() -> str:
    """Report the server and the identity that would run it."""
    who = {
        "same": "runs as this user",
        "mapped": "you are root, so it runs in a user namespace",
        "user": "you are root, so it runs as an unused user id",
    }
    return f"{server.version()} in {server.binaries()}; {who[run_as.for_postgres().split(':')[0]]}"


def front_door() -> str:
    """Report the front door's program."""
    said = child.run([door.program(), "version"], timeout=20).stdout.split()
    return f"Caddy {said[0].removeprefix('v')} at {door.program()}"


def cache() -> str:
    """Check that downloads can be cached."""
    folder = cache_dir()
    if not os.access(folder, os.W_OK):
        raise StackError(f"{folder} is not writable; set HALFDAY_CACHE to your own folder")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{folder}, {size / 1e6:.0f} MB"


def cores() -> str:
    """Report the cores that this process can use."""
    count = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
    return f"{count}" + ("" if count >= 2 else "; with two, a market day takes half the time")


def memory() -> str:
    """Check that there is enough memory for the stack."""
    free = psutil.virtual_memory().available
    if free < MEMORY_NEEDED:
        raise StackError(f"{free / 1e9:.1f} GB free; the stack needs about {MEMORY_NEEDED / 1e9:.0f} GB")
    return f"{free / 1e9:.1f} GB free"


def disk(folder: Path | None = None) -> str:
    """Check that the file system of `folder` has enough space, by default that of the working directory."""
    free = shutil.disk_usage(folder or Path.cwd()).free
    if free < DISK_NEEDED:
        raise StackError(
            f"{free / 1e9:.1f} GB free here; the stack needs about {DISK_NEEDED / 1e9:.0f} GB, so free some"
        )
    return f"{free / 1e9:.1f} GB free here"


def open_files() -> str:
    """Check that a process can open as many files as the broker needs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < FILES_NEEDED:
        raise StackError(f"a process may open {most} files; the broker needs {FILES_NEEDED}, so raise `ulimit -n`")
    return "no limit" if most == resource.RLIM_INFINITY else f"{most} for a process"


def ports() -> str:
    """Check that servers can listen on 127.0.0.1."""
    free = 0
    for port in range(LOWEST, HIGHEST, 97):
        free += is_free(port)
        if free == PORTS_NEEDED:
            return f"free between {LOWEST} and {HIGHEST} on 127.0.0.1"
    raise StackError(f"nothing can listen on 127.0.0.1 between {LOWEST} and {HIGHEST}; is the loopback interface up?")


def clock() -> str:
    """Check that the machine's clock is plausible."""
    now = time.time()
    if now < _CODE_DAY:
        raise StackError(f"the clock says {time.strftime('%F %R')}, which is in the past; set it before taking orders")
    return time.strftime("%F %R %Z")


CHECKS: dict[str, Callable[[], str]] = {
    "python": python,
    "wheels": wheels,
    "java": java_runtime,
    "kafka": kafka,
    "postgresql": postgresql,
    "front door": front_door,
    "cache": cache,
    "cores": cores,
    "memory": memory,
    "disk": disk,
    "open files": open_files,
    "ports": ports,
    "clock": clock,
}
