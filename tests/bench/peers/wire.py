"""Messages between the two halves of the shop, and the broker object of each process."""

from __future__ import annotations

import os
from uuid import UUID

from faststream.kafka import KafkaBroker
from faststream.security import SASLScram512
from pydantic import BaseModel

DIRECT = os.environ.get("STYLE") == "direct"
PREFIX = os.environ.get("PREFIX", "")
PLACED, ANSWERED = f"{PREFIX}orders", f"{PREFIX}stock"


class Wanted(BaseModel):
    item: str
    quantity: int


class OrderPlaced(BaseModel):
    event_id: UUID
    order_id: UUID
    pool: str
    community: str
    channel: str
    total_fen: int
    lines: list[Wanted]


class StockAnswered(BaseModel):
    event_id: UUID
    order_id: UUID
    pool: str
    reserved: bool


def make_broker() -> KafkaBroker:
    """Return a broker, not started; all replicas acknowledge, and retries make no duplicates."""
    user = os.environ.get("KAFKA_USER")
    security = SASLScram512(user, os.environ["KAFKA_PASSWORD"], use_ssl=False) if user else None
    return KafkaBroker(
        os.environ.get("KAFKA", "127.0.0.1:9092"),
        acks="all",
        enable_idempotence=True,
        graceful_timeout=5,
        security=security,
        logger=None,
    )
