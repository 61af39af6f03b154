"""The problem document of a refusal by the domain."""

from __future__ import annotations

from services.kit.http.problems import TITLES, InputError, Problem
from services.orders.domain.order.policy import Refusal

RETRY_AFTER_S = "30"


def problem_of(refusal: Refusal) -> Problem:
    """Return the problem document of a refusal; a 503 has `Retry-After`."""
    error = InputError(f"#{refusal.pointer}", refusal.message)
    headers = {"Retry-After": RETRY_AFTER_S} if refusal.status == 503 else {}
    title = TITLES[refusal.status]
    return Problem(refusal.status, refusal.code, title, refusal.message, errors=[error], headers=headers)
