"""The identity that runs PostgreSQL: it refuses root, and people do run the stack as root."""

import grp
import os
import pwd
import stat
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.processes import child

# Numbers that neither distributions nor systemd assign.
_UNUSED = range(60_578, 61_184)


@cache
def for_postgres() -> str:
    """Return the launcher's WHO: the same user; as root a user namespace; without one an unused user id.

    That id has no name, so it has no other program's files or processes. Raises StackError when none of these is
    possible.
    """
    if os.geteuid() != 0:
        return "same"
    # initdb looks its user up by name, so the namespace must map to a user that exists.
    mapped = f"mapped:{_named()}"
    if _possible(mapped):
        return mapped
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    own = next(number for number in _UNUSED if number not in taken)
    return f"user:{own}:{own}"


def for_initdb() -> str:
    """Return the same, except for an unused user id, which initdb would not find: then an existing user's id.

    It gets the group of the unused id, and only that group has access to the folder: other processes of the existing
    user do not.
    """
    kind, *ids = for_postgres().split(":")
    return f"user:{_named()}:{ids[1]}" if kind == "user" else for_postgres()


def hand_over(path: Path, who: str, through: Sequence[Path], program: Path) -> None:
    """Give `path`, with everything in it, to `who` if that is another user, who can then run `program` on it.

    Its group gets access through the folders `through`, all other users get none. Raises StackError when the user
    cannot reach it, and for a link or anything else in `path` that is neither a file nor a folder.
    """
    kind, *ids = who.split(":")
    if kind != "user":
        return
    uid, gid = map(int, ids)
    try:
        for folder in through:
            os.chown(folder, os.geteuid(), gid, follow_symlinks=False)
            folder.chmod(0o710)
        give(path, uid, gid)
    except OSError as error:
        raise StackError(f"{path} can't be given to user {uid}: {error.strerror}; run as an ordinary user") from None
    refused = f"PostgreSQL refuses to run as root, and user {uid} can't"
    if child.run(["test", "-w", path], who=who).returncode != 0:
        raise StackError(
            f"{refused} enter {path}; run as an ordinary user, or put the data in a folder that all users can enter "
            "(--data /var/tmp/halfday)"
        )
    if child.run(["test", "-x", program], who=who).returncode != 0:
        raise StackError(
            f"{refused} run {program}; run as an ordinary user, or install Halfday where all users can read (/opt)"
        )


def give(path: Path, uid: int, gid: int, above: int | None = None) -> None:
    """Change the owner of `path` and of everything in it, each by its descriptor, so that no link leads elsewhere.

    Raises StackError for anything that is neither a file nor a folder, and for a file with a second name: root must not
    give away another user's linked file.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(path if above is None else path.name, flags, dir_fd=above)
    except OSError:
        if not path.is_symlink():
            raise
        raise _not_a_file(path) from None
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            for name in os.listdir(handle):
                give(path / name, uid, gid, handle)
        elif not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise _not_a_file(path)
        os.fchown(handle, uid, gid)
    finally:
        os.close(handle)


def _not_a_file(path: Path) -> StackError:
    return StackError(f"{path} is a link or not a file; the stack never creates one, so check it and move it away")


def _named() -> int:
    others = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not others:
        raise StackError("PostgreSQL refuses to run as root, and this machine has no other user; add one")
    return others[0].pw_uid


def _possible(mapped: str) -> bool:
    return sys.platform == "linux" and child.run(["true"], who=mapped).returncode == 0
