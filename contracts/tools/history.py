"""Committed versions of a folder's files from a commit on, as far as git has them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKING = "working tree"


class NoHistory(Exception):
    """No git, no repository, or a shallow clone; the text names the case."""


@dataclass(frozen=True, slots=True)
class Version:
    """One content of one file. `name` is relative to the folder, `origin` a short commit or `WORKING`."""

    name: str
    origin: str
    text: str

    def data(self) -> Any:
        """The JSON value. Raises `ValueError` that names the file where it is none."""
        try:
            return json.loads(self.text)
        except ValueError as wrong:
            raise ValueError(f"{self.name}@{self.origin} is no JSON: {wrong}") from wrong


def present(folder: Path) -> list[Version]:
    """Return the JSON files now in the folder, in order of name."""
    return [
        Version(path.relative_to(folder).as_posix(), WORKING, path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
    ]


def is_ancestor(folder: Path, commit: str) -> bool:
    """Return True when the commit is HEAD or one of its ancestors. Raises `NoHistory`, also for a shallow clone."""
    shallow = _git(folder, "rev-parse", "--is-shallow-repository").strip() == b"true"
    found = _run(folder, "merge-base", "--is-ancestor", commit, "HEAD").returncode == 0
    if shallow and not found:
        raise NoHistory(f"this clone is shallow and lacks commit {commit[:7]}; `git fetch --unshallow` brings it")
    return found


def committed(folder: Path, since: str) -> list[Version]:
    """Return every distinct content of every JSON file under the folder from commit `since` to HEAD, newest first.

    Files at `since` are included, even if deleted or renamed later. Raises `NoHistory`.
    """
    log = ("log", f"{since}..HEAD", "-m", "--no-renames", "--raw", "--no-abbrev", "--relative", "--format=%H")
    origin, found = "", {}
    for line in _git(folder, *log, "--", ".").decode().splitlines():
        if not line.startswith(":"):
            origin = line[:7] or origin
            continue
        change, name = line.split("\t", 1)
        found[name, change.split()[3]] = origin  # the oldest commit that had it
    for line in _git(folder, "ls-tree", "-r", since, "--", ".").decode().splitlines():
        entry, name = line.split("\t", 1)
        found[name, entry.split()[2]] = since[:7]
    found = {(name, blob): at for (name, blob), at in found.items() if name.endswith(".json") and blob.strip("0")}
    texts = _texts(folder, list(dict.fromkeys(blob for _, blob in found)))
    return [Version(name, origin, texts[blob]) for (name, blob), origin in found.items()]


def _texts(folder: Path, blobs: list[str]) -> dict[str, str]:
    out = _git(folder, "cat-file", "--batch", given="\n".join(blobs)) if blobs else b""
    texts, at = {}, 0
    for blob in blobs:
        head, rest = out[at:].split(b"\n", 1) if b"\n" in out[at:] else (out[at:], b"")
        size = int(head.split()[2])
        texts[blob] = rest[:size].decode()
        at += len(head) + 1 + size + 1
    return texts


def _git(folder: Path, *args: str, given: str = "") -> bytes:
    ran = _run(folder, *args, given=given)
    if ran.returncode:
        raise NoHistory((ran.stderr.decode(errors="replace").strip().splitlines() or ["git failed"])[0])
    return ran.stdout


def _run(folder: Path, *args: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-c", "core.quotepath=off", *args]
    try:
        return subprocess.run(command, cwd=folder, input=given.encode(), capture_output=True, check=False)
    except OSError as absent:
        raise NoHistory(f"git cannot be run: {absent}") from absent
