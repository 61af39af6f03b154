"""Which identity PostgreSQL runs as: it refuses root, and people do run this as root."""

import os
import pwd
import shutil
import sys
from functools import cache
from pathlib import Path

from deploy.local import process
from deploy.local.errors import StackError


@cache
def for_postgres() -> str:
    """The leash's WHO: ourselves; as root a user namespace; where that is refused an ordinary user.

    Raises StackError when none of these is possible.
    """
    if os.geteuid() != 0:
        return "same"
    others = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not others:
        raise StackError("PostgreSQL refuses to run as root, and this machine has no other user; add one")
    # initdb looks its user up by name, so the namespace must map to a user that exists.
    mapped = f"mapped:{others[0].pw_uid}"
    if sys.platform == "linux" and process.run(["true"], who=mapped).returncode == 0:
        return mapped
    chosen = next((entry for entry in others if entry.pw_name in ("postgres", "nobody")), others[0])
    return f"user:{chosen.pw_uid}:{chosen.pw_gid}"


def hand_over(folder: Path, who: str) -> None:
    """Makes `folder` usable for `who`; StackError when that user can't reach it."""
    kind, *ids = who.split(":")
    if kind != "user":
        return
    uid, gid = map(int, ids)
    folder.parent.chmod(folder.parent.stat().st_mode | 0o011)  # to pass through, not to look around
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, uid, gid)
    if process.run(["test", "-w", folder], who=who).returncode != 0:
        raise StackError(
            f"PostgreSQL refuses to run as root, and user {uid} can't enter {folder}; "
            "run as an ordinary user, or put the data where all can go (--data /var/tmp/halfday)"
        )
