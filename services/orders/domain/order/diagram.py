"""The picture of an order's life, drawn from the table itself so that it cannot drift."""

from __future__ import annotations

import re

from services.orders.domain.order.order import TERMINAL, OrderState
from services.orders.domain.order.state_machine import TRANSITIONS


def mermaid() -> str:
    """The life of an order as a Mermaid state diagram: one arrow for each pair of states, its messages on it."""
    arrows: dict[tuple[OrderState, OrderState], list[str]] = {}
    for (state, message), step in TRANSITIONS.items():
        for after in step.to:
            if after is not state:
                arrows.setdefault((state, after), []).append(_kebab(message.__name__))
    order = list(OrderState)
    lines = ["stateDiagram-v2", "    [*] --> placed: accepted"]
    for (before, after), names in sorted(arrows.items(), key=lambda a: (order.index(a[0][0]), order.index(a[0][1]))):
        lines.append(f"    {before} --> {after}: {', '.join(sorted(names))}")
    lines += [f"    {state} --> [*]" for state in order if state in TERMINAL]
    return "\n".join(lines)


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
