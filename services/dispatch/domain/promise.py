"""Quotes: a delivery slot that can still be kept, signed so that the client can carry it between services.

MAC: HMAC-SHA256 (RFC 2104) in hex over the canonical JSON of the quote without its `mac`: keys sorted, no spaces,
instants in UTC. Only dispatch has the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime

from contracts.events.dispatch import Quote
from contracts.values import iso
from services.dispatch.domain.wave import Wave


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


def verified_quote(key: bytes | None, quote: Quote | None) -> Quote | None:
    """Return the quote if this key signed it and it is unaltered, else None; without a key always None."""
    if quote is None or key is None:
        return None
    return quote if hmac.compare_digest(quote.mac.encode(), _mac(key, quote).encode()) else None


def _mac(key: bytes, quote: Quote) -> str:
    fields = quote.model_dump(exclude={"mac"})
    plain = {name: iso(v.astimezone(UTC)) if isinstance(v, datetime) else v for name, v in fields.items()}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
