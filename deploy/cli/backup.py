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
    """Write the data folder of a stopped stack to one new file.

    Stop the stack first with `halfday down`: databases and topics are then of
    the same moment, and no stack can start while the file is written. The file
    contains passwords, tokens and people's addresses unencrypted, so protect it.
    It is a tar.gz that begins with the digest of every file in it, signed with
    your key (~/.config/halfday/backup.key, created with the first backup). Keep
    a copy of that key on another machine: with it, restoring needs no
    confirmation.

    Example: halfday backup saturday.tar.gz --data ./market

    Parameters
    ----------
    file
        File to write; it must not exist.
    data
        Folder of a stopped stack.
    as_json
        Print one JSON object.
    """
    made = backups.write(data.absolute(), file)
    if as_json:
        print(json.dumps({"file": str(file), "file_bytes": file.stat().st_size, **asdict(made)}))
        return
    print(f"{file}: {made.files} files, {made.bytes / 1e6:.0f} MB in {file.stat().st_size / 1e6:.0f} MB")
    print(f"Signed by {made.signed_by} ({signing.key_file()}); keep a copy of that key elsewhere")
    print(f"Restore it with: ./halfday restore '{file}' --data NEW-FOLDER")


def restore(file: Path, /, *, data: Path, signed_by: str | None = None, as_json: AsJson = False) -> None:
    """Create a data folder from a backup; every byte and the signature are checked.

    `halfday up` then continues from the moment of the backup; later orders are
    missing. Use only one of the two folders from then on: clients of both would
    see contradictory states. Nothing is overwritten. A truncated or changed file,
    or one of a version with other contracts, is refused and leaves no folder.
    Only your own backups are restored: on a new machine copy the old key to
    ~/.config/halfday/backup.key, or give its fingerprint.

    Example: halfday restore saturday.tar.gz --data ./market-restored

    Parameters
    ----------
    file
        A file that `halfday backup` wrote.
    data
        Folder to create.
    signed_by
        Fingerprint of another account's key, as `halfday backup` printed it.
    as_json
        Print one JSON object.
    """
    found = restores.restore(file, data.absolute(), signed_by)
    if as_json:
        print(json.dumps({"data": str(data.absolute()), **asdict(found)}))
        return
    print(f"{data}: {found.files} files, {found.bytes / 1e6:.0f} MB, as they were at {found.made_at}")
    print(f"Continue with: ./halfday up --data '{data}'    and then: ./halfday audit --data '{data}'")
