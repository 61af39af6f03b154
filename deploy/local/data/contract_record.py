"""The contract state that a data folder was created with, in its `contracts.json`; other states are refused."""

from __future__ import annotations

import json
from pathlib import Path

from contracts.state import TopicState, contract_state, differing
from deploy.local.data.files import write_private
from deploy.local.errors import StackError

FILE = "contracts.json"
_DATA = ("kafka/data/formatted", "postgres/data/PG_VERSION")


def check_and_record(data: Path) -> None:
    """Check the folder and record today's contract state in it. The caller must have the folder's lock.

    Raises StackError as `check` does.
    """
    check(data)
    write_private(data / FILE, json.dumps(contract_state(), indent=1))


def check(data: Path, backup: Path | None = None) -> None:
    """Raise StackError, with the topics that differ and what to do, for data of another contract state.

    Data without a record counts as another state; a folder without data is fine. `backup` is the file that the folder
    was unpacked from.
    """
    if not any((data / name).exists() for name in _DATA):
        return
    todo = "continue with the version of Halfday that made it, or start with a new folder (--data NEW-FOLDER)"
    if backup:
        todo = "restore it with the version of Halfday that made it"
    try:
        text = (data / FILE).read_text("utf-8")
    except FileNotFoundError:
        raise StackError(f"{backup or data} has data from before contract states were recorded; {todo}") from None
    try:
        made = {topic: TopicState(*state) for topic, state in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise StackError(f"{FILE} of {backup or data} is damaged, so its contract state is unknown; {todo}") from None
    if topics := differing(made, contract_state()):
        raise StackError(f"{backup or data} has data of another contract state ({', '.join(topics)}); {todo}")
