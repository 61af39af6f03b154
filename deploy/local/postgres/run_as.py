"""Which identity PostgreSQL runs as: it refuses root, and people do run this as root."""

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

# Numbers that distributions and systemd give to nobody.
_UNUSED = range(60_578, 61_184)


@cache
def for_postgres() -> str:
    """The leash's WHO: ourselves; as root a user namespace; where that is refused a user of its own.

    That user is a number without a name, so no other program's files or processes are its own. Raises StackError when
    none of these is possible.
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
    """The same but for a user of its own, which initdb would not find: there an existing user's id stands in.

    It has the group of the user of its own, and only that group comes to the folder: other processes of the existing
    user do not.
    """
    kind, *ids = for_postgres().split(":")
    return f"user:{_named()}:{ids[1]}" if kind == "user" else for_postgres()


def hand_over(path: Path, who: str, through: Sequence[Path], program: Path) -> None:
    """Gives `path`, with all that is in it, to `who` if that is another user, who may then run `program` on it.

    Its group may pass through the folders `through`, all other users are kept out. StackError when it can't get there,
    and for a link or anything else in `path` that is neither a file nor a folder.
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
            f"{refused} enter {path}; run as an ordinary user, or put the data where all can go "
            "(--data /var/tmp/halfday)"
        )
    if child.run(["test", "-x", program], who=who).returncode != 0:
        raise StackError(f"{refused} run {program}; run as an ordinary user, or put Halfday where all can go (/opt)")


def give(path: Path, uid: int, gid: int, above: int | None = None) -> None:
    """Changes the owner of `path` and of all in it, each thing by its descriptor, so that no link leads elsewhere.

    Raises StackError for what is neither a file nor a folder and for a file with a second name: root must not give
    away what another user linked to.
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
    return StackError(f"{path} is a link or no file; the stack makes no such thing, so look at it and move it away")


def _named() -> int:
    others = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not others:
        raise StackError("PostgreSQL refuses to run as root, and this machine has no other user; add one")
    return others[0].pw_uid


def _possible(mapped: str) -> bool:
    return sys.platform == "linux" and child.run(["true"], who=mapped).returncode == 0
