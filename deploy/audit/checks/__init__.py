"""The audit's checks, in the order of the report: from the log outwards."""

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
    """A claim and the functions that search for counter-examples.

    `between`: it compares services, and a dead letter is a good reason for them to differ about its subject.
    """

    claim: str
    parts: tuple[Callable[[Evidence], Iterator[Finding]], ...]
    between: bool = False


CHECKS = (
    Check("no message waits to be sent", (archive.waiting,)),
    Check(
        "the log is complete and numbered, an event id has one content",
        (records.complete, records.contents, records.readable, records.numbers),
    ),
    Check("the log has exactly the sent records", (archive.sent, archive.unsent)),
    Check("consumers processed exactly the published records", (inbox.processed, inbox.known)),
    Check("every order is in exactly one state", (orders.known, orders.lives)),
    Check("every pledge of a group-buy ended once", (campaigns.lives, campaigns.pledges)),
    Check("money was refunded where due, once", (money.refunds, money.given_back)),
    Check("stock is the sum of its movements and of its topic", (stock.movements, stock.physical, stock.topic)),
    Check("no more was promised than there was", (stock.promises,)),
    Check("per lot, in = out + on hand", (lots.balance, lots.unattributed)),
    Check("every stall sale took effect once", (sales.once, sales.allotments), between=True),
    Check("every command was answered", (cross_service.answers,), between=True),
    Check("orders and stock agree", (cross_service.reservations, cross_service.claims), between=True),
    Check("orders and deliveries agree", (cross_service.jobs, cross_service.orphan_jobs), between=True),
    Check("no personal data is in a public topic", (person.absent,)),
    Check("no service has data of an erased person", (person.erased,)),
)
ENDED = Check("every order and group-buy has ended", (orders.ended, campaigns.settled), between=True)
