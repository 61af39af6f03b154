"""Quotes: a delivery slot that can still be kept, signed so that the client can carry it between services.

MAC: HMAC-SHA256 (RFC 2104) in hex over the canonical JSON of the quote without its `mac`: keys sorted, no spaces,
instants in UTC. Only dispatch has the key. While a key is being replaced, the one before still verifies; a quote does
not name its key, for there are two at most.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.events.dispatch import Quote
from contracts.values import iso
from services.dispatch.domain.wave import Wave

UNVERIFIED = "unverified"
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def sign_quote(key: bytes, community: str, wave: Wave) -> Quote:
    """Return a quote of the wave's slot for a community, valid until the wave's cutoff. It reserves no capacity."""
    unsigned = Quote(
        community=community,
        wave=wave.id,
        slot_from=wave.slot_from,
        slot_until=wave.slot_until,
        until=wave.cutoff,
        mac="0" * 64,  # replaced below; the MAC covers all other fields
    )
    return unsigned.model_copy(update={"mac": _mac(key, unsigned)})


def is_verified(keys: Sequence[bytes], quote: Quote) -> bool:
    """Return True if one of these keys signed the quote, and it is unaltered."""
    return any(hmac.compare_digest(quote.mac.encode(), _mac(key, quote).encode()) for key in keys)


def unkept(quote: Quote) -> Quote:
    """Return what remains of a quote that was not verified: it names no wave, and no slot is early enough to keep it.

    So the order is placed as one without a quote, and its slot is not the one that the buyer was shown.
    """
    return quote.model_copy(update={"wave": UNVERIFIED, "slot_from": _NEVER, "slot_until": _NEVER})


def _mac(key: bytes, quote: Quote) -> str:
    fields = quote.model_dump(exclude={"mac"})
    plain = {name: iso(v.astimezone(UTC)) if isinstance(v, datetime) else v for name, v in fields.items()}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
