"""Options of a stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.topics import SERVICES
from deploy.local.errors import StackError


@dataclass(frozen=True)
class Options:
    """`port_base`: first of consecutive ports, else they are random and saved. `workers`: worker processes per service,
    else 1. `driven`: another process drives the business clock of the data folder (`clock.py`); else the saved clock
    runs by itself, at first in real time. `lan`: own IPv4 address on which the front door listens too, with TLS, for
    devices on the local network; empty for this machine only.
    """

    port_base: int | None = None
    workers: Mapping[str, int] = field(default_factory=dict)
    driven: bool = False
    lan: str = ""


def parse_workers(text: str) -> dict[str, int]:
    """Return `orders=2,dispatch=3` as a mapping. Raises StackError for another form."""
    counts: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        service, _, count = part.partition("=")
        if service not in SERVICES or not count.isdecimal() or not 1 <= int(count) <= 6:
            raise StackError(
                f"invalid --workers {part!r}, expected SERVICE=N: one of {', '.join(SERVICES)} and N from 1 to 6"
            )
        counts[service] = int(count)
    return counts
