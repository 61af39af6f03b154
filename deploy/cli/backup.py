"""`halfday backup` and `halfday restore`: a data folder as one file, and back."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from deploy.local.commands import backup as backups
from deploy.local.commands import restore as restores
from deploy.local.commands import signing

DATA = Path(".halfday")
AsJson = Annotated[bool, Parameter(name="--json", negative="")]


def backup(file: Path, /, *, data: Path = DATA, as_json: AsJson = False) -> None:
    """Write all that a stopped stack knows to one new file.

    Stop the stack first with `halfday down`: databases and topics are then of
    one moment, and no stack can start while the file is written. It holds
    passwords, tokens and people's addresses in the clear, so keep it as you
    keep those. It is a tar.gz that begins with the digest of every file in it,
    signed with your key (~/.config/halfday/backup.key, made with the first
    backup). Keep a copy of that key apart from this machine: with it a backup
    is restored anywhere without a question.

    Example: halfday backup saturday.tar.gz --data ./market

    Parameters
    ----------
    file
        Where to write it; nothing is overwritten.
    data
        Folder of a stopped stack.
    as_json
        What was written as one JSON object.
    """
    made = backups.write(data.absolute(), file)
    if as_json:
        print(json.dumps({"file": str(file), "file_bytes": file.stat().st_size, **asdict(made)}))
        return
    print(f"{file}: {made.files} files, {made.bytes / 1e6:.0f} MB in {file.stat().st_size / 1e6:.0f} MB")
    print(f"Signed by {made.signed_by} ({signing.key_file()}); keep a copy of that key elsewhere")
    print(f"Bring it back with: ./halfday restore '{file}' --data NEW-FOLDER")


def restore(file: Path, /, *, data: Path, signed_by: str | None = None, as_json: AsJson = False) -> None:
    """Make a new data folder from a backup, every byte and its signature checked.

    `halfday up` then goes on from the moment of the backup; what was accepted
    after it is not there. Use one of the two folders from then on, never both:
    their clients would see two truths. Nothing is overwritten; a file that was
    cut or changed, or that a version with other contracts wrote, leaves nothing
    behind. Only your own backups are restored: on a new machine copy the key
    of the old one to ~/.config/halfday/backup.key, or name its fingerprint.

    Example: halfday restore saturday.tar.gz --data ./market-restored

    Parameters
    ----------
    file
        A file that `halfday backup` wrote.
    data
        The folder to make.
    signed_by
        The fingerprint of another account's key, as `halfday backup` printed it there.
    as_json
        What was restored as one JSON object.
    """
    found = restores.restore(file, data.absolute(), signed_by)
    if as_json:
        print(json.dumps({"data": str(data.absolute()), **asdict(found)}))
        return
    print(f"{data}: {found.files} files, {found.bytes / 1e6:.0f} MB, as they were at {found.made_at}")
    print(f"Go on with: ./halfday up --data '{data}'    and then: ./halfday audit --data '{data}'")
