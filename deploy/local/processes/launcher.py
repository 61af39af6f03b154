"""Executes a command that ends with its starter: `launcher.py PARENT SIGNAL WHO COMMAND...`.

Run as a script, before `exec`, so the pid stays the same. SIGNAL is sent by the kernel when PARENT dies.
WHO is `same`, `mapped:UID` (root only: a user namespace in which root's files belong to UID, for PostgreSQL,
which refuses to run as root) or `user:UID:GID`. COMMAND begins with a path. The script imports nothing from
this package, and nothing after the change of identity, when Python's own files may be unreadable.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000


def _map_root_to(uid: str, libc: ctypes.CDLL) -> None:
    owner, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        sys.exit(f"launcher: no user namespace: {os.strerror(ctypes.get_errno())}")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {owner} 1"), ("gid_map", f"{uid} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def main() -> None:
    """Execute the command; never returns. Exits with a reason if that is impossible."""
    parent, death_signal, who, *command = sys.argv[1:]
    linux = sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)
    kind, *ids = who.split(":")
    if kind == "mapped":
        _map_root_to(ids[0], libc)
    elif kind == "user":
        os.setgroups([])
        os.setgid(int(ids[1]))
        os.setuid(int(ids[0]))
    if linux:
        # After the change of identity, which would clear it.
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("launcher: the starter has ended")
    os.execv(command[0], command)  # noqa: S606 - replacing this process is the point


if __name__ == "__main__":
    main()
