"""The problem document of a refusal by the domain."""

from __future__ import annotations

from services.kit.http.problems import TITLES, InputError, Problem
from services.orders.domain.order.policy import Refusal

RETRY_AFTER_S = {503: "30", 429: "60"}


def problem_of(refusal: Refusal) -> Problem:
    """Return the problem document of a refusal; a 503 and a 429 have `Retry-After`."""
    error = InputError(f"#{refusal.pointer}", refusal.message)
    headers = {"Retry-After": RETRY_AFTER_S[refusal.status]} if refusal.status in RETRY_AFTER_S else {}
    title = TITLES[refusal.status]
    return Problem(refusal.status, refusal.code, title, refusal.message, errors=[error], headers=headers)
