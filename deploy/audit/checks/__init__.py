"""What the audit checks, in the order in which it names what differs: from the log outwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deploy.audit.checks import (
    archive,
    campaigns,
    cross_service,
    inbox,
    lots,
    money,
    orders,
    person,
    records,
    sales,
    stock,
)
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding


@dataclass(frozen=True, slots=True)
class Check:
    """A claim and the functions that look for what speaks against it.

    `between`: it compares services, and a parked record is a good reason for them to differ about its subject.
    """

    claim: str
    parts: tuple[Callable[[Evidence], Iterator[Finding]], ...]
    between: bool = False


CHECKS = (
    Check("nothing waits to be sent", (archive.waiting,)),
    Check(
        "the log is whole, numbered and says each thing one way",
        (records.complete, records.contents, records.readable, records.numbers),
    ),
    Check("what was sent stands in the log, and nothing else", (archive.sent, archive.unsent)),
    Check("what was told was dealt with, and nothing else", (inbox.processed, inbox.known)),
    Check("every order is in exactly one state", (orders.known, orders.lives)),
    Check("every pledge of a group-buy ended once", (campaigns.lives, campaigns.pledges)),
    Check("money was refunded where it had to be, once", (money.refunds, money.given_back)),
    Check("stock is the sum of its movements and of its topic", (stock.movements, stock.physical, stock.topic)),
    Check("nothing was promised that was not there", (stock.promises,)),
    Check("per lot, in = out + on hand", (lots.balance, lots.unattributed)),
    Check("every stall sale took effect once", (sales.once, sales.allotments), between=True),
    Check("every command was answered", (cross_service.answers,), between=True),
    Check("orders and stock agree", (cross_service.reservations, cross_service.claims), between=True),
    Check("orders and deliveries agree", (cross_service.jobs, cross_service.orphan_jobs), between=True),
    Check("no person stands in a public topic", (person.absent,)),
    Check("who was erased is known nowhere", (person.erased,)),
)
ENDED = Check("every order and group-buy has ended", (orders.ended, campaigns.settled), between=True)
