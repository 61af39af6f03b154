"""How a stack is asked to run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.topics import SERVICES
from deploy.local.errors import StackError


@dataclass(frozen=True)
class Options:
    """`port_base`: ports count up from it, else they are random and kept. `workers`: how many worker
    processes a service has, else 1. `driven`: somebody drives the business clock of the data folder (`clock.py`); else
    the kept one runs on by itself, at first in real time.
    """

    port_base: int | None = None
    workers: Mapping[str, int] = field(default_factory=dict)
    driven: bool = False


def parse_workers(text: str) -> dict[str, int]:
    """`orders=2,dispatch=3` as a mapping; StackError when it isn't of that form."""
    counts: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        service, _, count = part.partition("=")
        if service not in SERVICES or not count.isdecimal() or not 1 <= int(count) <= 6:
            raise StackError(
                f"--workers {part}: write SERVICE=N with a service of {', '.join(SERVICES)} and N from 1 to 6"
            )
        counts[service] = int(count)
    return counts
