"""`halfday partitions`: adds partitions to the topics of a stopped stack."""

from pathlib import Path

from deploy.local.commands.partitions import grow


def partitions(*, data: Path = Path(".halfday")) -> None:
    """Add partitions to topics as contracts/topics.py describes; only while the stack is stopped and drained.

    Refused, with nothing changed, while a stack runs on the folder, while an outbox holds rows, while a reader has
    unread records, and for a compacted topic. The runbook is deploy/runbooks/partition-growth.md.

    Example: halfday partitions --data ./market

    Parameters
    ----------
    data
        Folder of a stopped stack.
    """
    grown = grow(data)
    for topic, (before, after) in grown.items():
        print(f"{topic}: {before} -> {after} partitions")
    if not grown:
        print("every topic has its partitions already")
